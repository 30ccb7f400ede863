"""Terms that deletions hit, against a loop over samples and terms."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gocell_cli.storage import term_hits
from gocell_cli.storage.propagation import reached_terms
from gocell_cli.storage.reader import Cache
from tests import toy
from tests.commands.runners import document, failure, invoke


def by_a_loop(cache: Cache) -> dict[str, list[float]]:
    """samples, direct, deleted, mean, effect and Welch's standard error of each term, one sample after another."""
    hierarchy, columns = cache.hierarchy, cache.columns()
    genotypes = np.split(columns.genes, columns.gene_ptr[1:-1])
    reached = [set(reached_terms(hierarchy, genes.tolist()).tolist()) for genes in genotypes]
    held = {t: {int(g) for g in hierarchy.row_gene[hierarchy.row_term == t]} for t in range(len(hierarchy.term_ids))}
    found: dict[str, list[float]] = {key: [] for key in ("samples", "direct", "deleted", "mean", "effect", "error")}
    for term in range(len(hierarchy.term_ids)):
        hit = np.array([term in terms for terms in reached])
        here, there = columns.value[hit], columns.value[~hit]
        found["samples"].append(int(hit.sum()))
        found["direct"].append(sum(not held[term].isdisjoint(genes.tolist()) for genes in genotypes))
        used = {g for genes in genotypes for g in genes.tolist()}
        found["deleted"].append(sum(term in reached_terms(hierarchy, [g]) for g in used))
        found["mean"].append(here.mean() if len(here) else np.nan)
        found["effect"].append(here.mean() - there.mean() if len(here) and len(there) else np.nan)
        enough = len(here) > 1 and len(there) > 1
        error = np.sqrt(here.var(ddof=1) / len(here) + there.var(ddof=1) / len(there)) if enough else np.nan
        found["error"].append(error)
    return found


@pytest.mark.parametrize("block", [7, 50_000])
def test_against_a_loop(small_cache: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(term_hits, "BLOCK", block)
    cache = Cache(small_cache)
    found, expected = term_hits.term_hits(cache), by_a_loop(cache)
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-9, atol=1e-12, err_msg=name)
    order = found.order("hits")
    assert sorted(order.tolist()) == np.flatnonzero(found.samples).tolist()
    assert (np.diff(found.samples[order]) <= 0).all()
    for by, key in (("mean", found.mean), ("effect", -np.abs(found.effect))):
        order = found.order(by)
        few, value = found.few[order], key[order]
        assert not (np.diff(few.astype(int)) < 0).any()
        assert (np.diff(value[~few & np.isfinite(value)]) >= 0).all()


def test_the_toy_by_hand(toy_cache: Path) -> None:
    shown = document("inspect", "terms", "--cache", toy_cache)
    assert (shown["phenotype"], shown["sort"]) == ("fitness", "hits")
    terms = {term["term"]: term for term in shown["terms"]}
    columns = Cache(toy_cache).columns()
    deep = [
        i for i, genes in enumerate(np.split(columns.genes, columns.gene_ptr[1:-1])) if {2, 3, 4} & set(genes.tolist())
    ]
    assert terms["GO:0000005"]["samples"] == terms["GO:0000005"]["samples_direct"] == len(deep)
    assert terms["GO:0000005"]["mean"] == pytest.approx(columns.value[deep].mean())
    assert terms["GO:ROOT"]["samples"] == len(columns)
    assert terms["GO:ROOT"]["samples_direct"] == 0
    assert terms["GO:ROOT"]["effect"] is None
    assert all(term["few_samples"] for term in shown["terms"])
    assert set(terms) <= set(toy.KEPT)


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".parquet"])
def test_a_file_of_all_terms(toy_cache: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"terms{suffix}"
    result = invoke("inspect", "terms", "--cache", toy_cache, "--sort", "effect", "--out", out, "--top", 1)
    assert result.exit_code == 0
    assert "too few for a claim" in result.stdout
    frame = pd.read_parquet(out) if suffix == ".parquet" else pd.read_csv(out, sep="\t" if suffix == ".tsv" else ",")
    shown = document("inspect", "terms", "--cache", toy_cache, "--sort", "effect")["terms"]
    assert frame.term.tolist() == [term["term"] for term in shown]
    assert frame["samples"].tolist() == [term["samples"] for term in shown]
    assert "is there already" in failure("inspect", "terms", "--cache", toy_cache, "--out", out).message
    assert (
        "neither .xlsx nor .parquet nor .csv nor .tsv"
        in failure("inspect", "terms", "--out", tmp_path / "x.txt").message
    )
