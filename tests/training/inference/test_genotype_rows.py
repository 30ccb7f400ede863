"""Many genotypes at once: equal to each one alone, whatever their orders; series, terms and rankings."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from gocell_cli.csr import pointers
from gocell_cli.errors import Diverged, UsageError
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.inference import answers as answers_module
from gocell_cli.training.inference import genotype_rows
from gocell_cli.training.inference.answers import Answers
from gocell_cli.training.inference.best_of import RANKINGS, Ranking
from gocell_cli.training.inference.explain import activations
from gocell_cli.training.inference.genotype_rows import GenotypeRows, best_of
from gocell_cli.training.inference.predict import Predictor, deletions_of
from gocell_cli.training.inference.together import Ensemble
from gocell_cli.training.network.dcell import DCellConfig
from gocell_cli.training.network.term_weights import TermWeights
from tests.training import networks as nets

CONFIG = DCellConfig(min_width=4, ratio=0.0, init_range=0.5)
SCALE = LabelScale(0.8, 0.2, logits=False)
GENOTYPES = [(1,), (0, 5), (), (2, 3, 7), (0, 5), (4, 11), (1, 2, 3, 4), (0, 2, 5), (6,)]
UNKNOWN = 2
"""The one without genes stands for a row whose gene nobody knows."""


def predictor(seed: int = 3, kind: str = "fitness") -> Predictor:
    hierarchy = nets.random_network(3)
    model = nets.pair(hierarchy, CONFIG, seed)[0].eval()
    trained = (np.arange(len(hierarchy.gene_names)) + seed) % 3 != 0
    return Predictor(model, hierarchy, SCALE, kind, trained)


def rows_of(*predictors: Predictor, terms: tuple[str, ...] = ()) -> GenotypeRows:
    flat = np.array([g for genotype in GENOTYPES for g in genotype], dtype=np.int64)
    ptr = pointers(np.array([len(g) for g in GENOTYPES]))
    reason = tuple("unknown_gene: x" if i == UNKNOWN else "" for i in range(len(GENOTYPES)))
    line = np.arange(2, 2 + len(GENOTYPES), dtype=np.int64)
    return GenotypeRows(Answers.of(predictors, terms), ptr, flat, line, reason)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genotype_rows, "ROWS", 4)
    monkeypatch.setattr(answers_module, "MOST_STATES", 100)


def told(rows: GenotypeRows) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pa.concat_tables(rows.tables()).to_pylist()
    return found


def test_each_row_is_what_its_genotype_alone_is_predicted() -> None:
    one = predictor()
    names = one.hierarchy.gene_names
    for row, line, genotype in zip(told(rows_of(one)), range(2, 99), GENOTYPES, strict=False):
        assert row["row"] == line
        if not genotype:
            assert (row["reason"], row["fitness"], row["genes"], row["untrained_genes"]) == (
                *("unknown_gene: x", None, None), None,
            )  # fmt: skip
            continue
        alone = one.predictions([genotype])[0]
        assert (row["reason"], row["genes"]) == (None, " ".join(names[g] for g in genotype))
        assert row["fitness"] == pytest.approx(alone.value, abs=1e-6)
        assert row["untrained_genes"] == len(alone.novel)
        pair: list[float | None] = [alone.epsilon["+".join(alone.genes)]] if len(genotype) == 2 else [None]
        triple: list[float | None] = [*alone.tau.values()] or [None]
        for name, wanted in (("epsilon", pair[0]), ("tau", triple[0])):
            assert row[name] == (None if wanted is None else pytest.approx(wanted, abs=1e-6)), (name, genotype)


def test_a_series_is_its_runs_mean_and_standard_deviation() -> None:
    runs = predictor(3), predictor(4), predictor(5)
    found = told(rows_of(*runs))
    for row, genotype in zip(found, GENOTYPES, strict=True):
        if not genotype:
            continue
        together = Ensemble(runs).predictions([genotype])[0]
        assert row["fitness"] == pytest.approx(together.mean.value, abs=1e-6)
        assert row["fitness_sd"] == pytest.approx(together.sd["fitness"], abs=1e-6)
        assert row["untrained_genes"] == len(together.mean.novel)
        for name, mean in (("epsilon", together.mean.epsilon), ("tau", together.mean.tau)):
            if row[name] is not None:
                label = "+".join(together.mean.genes)
                assert row[name] == pytest.approx(mean[label], abs=1e-6)
                assert row[f"{name}_sd"] == pytest.approx(together.sd[name][label], abs=1e-6)


def test_terms_have_their_head_and_of_one_run_their_neurons() -> None:
    one, other = predictor(), predictor(4)
    ids = one.hierarchy.term_ids
    terms = (ids[3], ids[0])
    weights = TermWeights(one.model, one.hierarchy)
    for row, genotype in zip(told(rows_of(one, terms=terms)), GENOTYPES, strict=True):
        if not genotype:
            assert row[f"{ids[3]} state"] is None
            continue
        heads, h = activations(one.model, deletions_of([genotype], 12, torch.device("cpu")))
        for term in (3, 0):
            assert row[f"{ids[term]} head"] == pytest.approx(float(heads[0, term]), abs=1e-6)
            assert row[f"{ids[term]} state"] == pytest.approx(h[weights.neurons(term), 0].tolist(), abs=1e-6)
    names = rows_of(one, other, terms=terms[:1]).schema.names
    assert names[-3:] == [f"{ids[3]} head", f"{ids[3]} head_sd", "reason"]
    with pytest.raises(UsageError, match="no term 'GO:9'"):
        rows_of(one, terms=("GO:9",))


@pytest.mark.parametrize("by", RANKINGS)
@pytest.mark.parametrize("most", [1, 3, 50])
def test_the_best_are_the_first_of_all_sorted(by: str, most: int) -> None:
    rows = rows_of(predictor())
    column = by if by in ("epsilon", "tau") else "fitness"
    sign = {"lowest": lambda x: x, "highest": lambda x: -x}.get(by, lambda x: -abs(x))
    wanted = sorted((r for r in told(rows) if r[column] is not None), key=lambda r: sign(r[column]))[:most]
    assert best_of(rows.to_rank(), Ranking(most, by, "fitness"), rows.answers).to_pylist() == wanted


def test_rankings_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="only a model of fitness"):
        Ranking(3, "tau", "viability")
    singles = replace(rows_of(predictor()), ptr=np.array([0, 1]), line=np.array([2]), reason=("",))
    with pytest.raises(UsageError, match="no genotype has epsilon"):
        best_of(singles.to_rank(), Ranking(3, "epsilon", "fitness"), singles.answers)


def test_numbers_beyond_float32_are_no_infinity() -> None:
    huge = replace(predictor(), scale=LabelScale(0.0, 1e60, logits=False))
    with pytest.raises(Diverged, match="beyond what float32 holds"):
        told(rows_of(huge))
