"""`gocell inspect terms`: which terms the deletions of a cache hit, how often, and what was measured there."""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import Force, data_root, find_cache
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table
from gocell_cli.commands.shell.terminal import make_table, note, show, show_result

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache
    from gocell_cli.storage.term_hits import TermHits


class Sort(StrEnum):
    """What the terms are listed by; a test holds them equal to storage.term_hits.SORTS."""

    HITS = "hits"
    MEAN = "mean"
    EFFECT = "effect"


SortOption = Annotated[
    Sort,
    typer.Option("--sort", help="hits: most samples first; mean: lowest phenotype; effect: largest difference."),
]
OutFile = Annotated[Path | None, typer.Option("--out", "-o", help=f"File of all terms that are hit: {KINDS}.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Lines to print; JSON and --out hold all.")]


def inspect_terms(
    sort: SortOption = Sort.HITS,
    out: OutFile = None,
    overwrite: Force = False,
    cache: CacheDir = None,
    root: Root = None,
    top: Top = 20,
    json: Json = False,
) -> None:
    """List the terms that the deletions hit: samples, mean phenotype, and how it differs from all other samples.

    A sample hits a term where it deletes a gene that the term contains; directly, where the gene is annotated to the
    term itself.
    """
    from gocell_cli.storage.reader import Cache
    from gocell_cli.storage.term_hits import term_hits

    require_table(out, overwrite=overwrite, json=json)
    opened = Cache(find_cache(cache, data_root(root)))
    if len(opened.manifest.phenotypes) > 1:
        note(f"terms are ranked by {opened.phenotype['kind']}, the first of the cache's phenotypes, alone")
    hits = term_hits(opened)
    rows = _rows(opened, hits, sort.value)
    if out is not None:
        _write(rows, out)
        if is_stdout(out):
            return
        note(f"{out}: {len(rows):,} terms", "written")
    kind = opened.phenotype["kind"]
    document = {"cache": str(opened.directory), "phenotype": kind, "sort": sort.value, "terms": rows}
    show_result(document, lambda: _print(opened, rows, top), json=json, essence=str(out or ""))


def _rows(cache: "Cache", hits: "TermHits", sort: str) -> list[dict[str, Any]]:
    hierarchy, few = cache.hierarchy, hits.few
    return [
        {
            "term": hierarchy.term_ids[term],
            "name": hierarchy.term_names[term],
            "namespace": hierarchy.term_namespaces[term],
            "level": int(hierarchy.level[term]),
            "direct_genes": int(hierarchy.direct_genes[term]),
            "contained_genes": int(hierarchy.contained_genes[term]),
            "deleted_genes": int(hits.deleted[term]),
            "samples": int(hits.samples[term]),
            "samples_direct": int(hits.direct[term]),
            "mean": _number(hits.mean[term]),
            "effect": _number(hits.effect[term]),
            "standard_error": _number(hits.error[term]),
            "few_samples": bool(few[term]),
        }
        for term in hits.order(sort).tolist()
    ]


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    import pyarrow as pa

    from gocell_cli.commands.shell.tables import write_table

    write_table(pa.Table.from_pylist(rows), out)


def _print(cache: "Cache", rows: list[dict[str, Any]], top: int) -> None:
    from gocell_cli.storage.term_hits import FEW

    kind = cache.phenotype["kind"]
    whole = f"{len(rows):,} of {len(cache.hierarchy.term_ids):,} terms are hit by {len(cache):,} samples"
    heads = ["term", "name", "level", "genes", "own", "deleted", "samples", "direct", kind, "effect", "SE"]
    lines = [
        [
            *(str(row[key]) for key in ("term", "name", "level", "contained_genes", "direct_genes", "deleted_genes")),
            *(f"{row[key]:,}" for key in ("samples", "samples_direct")),
            *(_shown(row[key]) for key in ("mean", "effect", "standard_error")),
        ]
        for row in rows[:top]
    ]
    show(make_table(whole, heads, lines, right=tuple(range(2, len(heads))), whole=(0,)))
    show("", "genes: of the term and its descendants; own: annotated to it; deleted: of its genes, in the screen.")
    show("samples: that hit the term; direct: by one of its own genes.")
    show(f"effect: mean {kind} of the samples that hit a term, less that of all others; SE: its standard error.")
    few = sum(row["few_samples"] for row in rows)
    if few:
        show(f"{few:,} of these terms are hit by fewer than {FEW} samples, or missed by fewer: too few for a claim.")


def _number(value: float) -> float | None:
    """A number as JSON has it, which knows no NaN."""
    return float(value) if math.isfinite(value) else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
