"""`gocell inspect`: what a cache holds, seen from a biologist's side."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.look.inspect_cache import inspect_cache, inspect_gene, inspect_level, inspect_samples
from gocell_cli.commands.look.inspect_term import inspect_term
from gocell_cli.commands.shell.command_line import Commands
from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.terminal import line, make_table, show, show_json, styled
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache

CHECK_FAILED = 3

inspect_app = Commands(help="Look into a cache.", no_args_is_help=True)


@inspect_app.callback()
def inspect() -> None:
    """Look into a cache."""


inspect_app.command("cache")(inspect_cache)
inspect_app.command("level")(inspect_level)
inspect_app.command("gene")(inspect_gene)
inspect_app.command("samples")(inspect_samples)
inspect_app.command("term")(inspect_term)


@inspect_app.command("sample")
def inspect_sample(
    index: Annotated[int, typer.Argument(help="Number of the sample, from 0.", min=0)],
    cache: CacheDir = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Show one sample: its deleted genes, phenotype, and the mutant_state rows that switch to 0."""
    from gocell_cli.storage.reader import Cache

    opened = Cache(find_cache(cache, data_root(root)))
    if index >= len(opened):
        raise UsageError(f"sample {index}: {opened.directory} holds samples 0 to {len(opened) - 1}")
    document = _document(opened, index)
    if json:
        show_json(document)
    else:
        _print(opened, document)
    if not all(document["checks"].values()):
        raise typer.Exit(CHECK_FAILED)


def _document(cache: "Cache", index: int) -> dict[str, Any]:
    import numpy as np

    from gocell_cli.storage.propagation import reached_terms, terms_by_level

    sample, hierarchy = cache.sample(index), cache.hierarchy
    table = cache.mutant_state([index])[0]
    term, gene, level, state = table.T
    deleted = np.isin(gene, sample.genes)
    zero = np.flatnonzero(state == 0)
    zero = zero[np.lexsort((term[zero], level[zero], gene[zero]))]
    return {
        "index": index,
        "genes": [hierarchy.gene_names[g] for g in sample.genes],
        "standard_names": [hierarchy.gene_standard[g] for g in sample.genes],
        "phenotype": {
            "kind": cache.manifest.phenotype["kind"],
            "value": sample.value,
            "statistic": sample.statistic,
            "statistic_kind": cache.manifest.phenotype["statistic"] or None,
        },
        "provenance": _provenance(cache, index),
        "rows": len(table),
        "rows_zero": len(zero),
        "level_by": hierarchy.level_by,
        "touched_by_level": {
            str(k): n for k, n in terms_by_level(hierarchy, reached_terms(hierarchy, sample.genes)).items()
        },
        "terms": [
            {
                "gene": hierarchy.gene_names[gene[row]],
                "term": hierarchy.term_ids[term[row]],
                "name": hierarchy.term_names[term[row]],
                "namespace": hierarchy.term_namespaces[term[row]],
                "level": int(level[row]),
            }
            for row in zero.tolist()
        ],
        "checks": {
            "deleted_rows_are_0": bool((state[deleted] == 0).all()),
            "other_rows_are_1": bool((state[~deleted] == 1).all()),
        },
    }


def _provenance(cache: "Cache", index: int) -> dict[str, Any]:
    sample, names = cache.sample(index), cache.provenance

    def strain(index: int | None) -> str | None:
        return None if index is None else names.strains[index][0]

    return {
        "dataset": cache.manifest.datasets[sample.dataset],
        "query_group": None if sample.query_group is None else _short(names.query_groups[sample.query_group]),
        "sources": [
            {**_place(cache, row), "query_strain": strain(q), "array_strain": strain(a)} for row, q, a in sample.sources
        ],
    }


def _place(cache: "Cache", row: int) -> dict[str, Any]:
    """Return a source row's file and its row there, where a data set has several files."""
    files = [f for f in cache.manifest.counts.get("files", ()) if f["first_row"] <= row]
    if not files:
        return {"row": row}
    return {"file": files[-1]["name"], "row": row - files[-1]["first_row"] + 1}


def _short(group: str) -> str:
    """The first of the query groups that merged rows joined into one, and how many more there are."""
    first, *others = group.split(";")
    return f"{first} and {len(others)} more" if others else first


def _print(cache: "Cache", document: dict[str, Any]) -> None:
    genes = [
        f"{name} ({standard})" if standard else name
        for name, standard in zip(document["genes"], document["standard_names"], strict=True)
    ]
    phenotype, provenance = document["phenotype"], document["provenance"]
    statistic = "" if phenotype["statistic"] is None else f", {phenotype['statistic_kind']} {phenotype['statistic']:g}"
    sources = "; ".join(
        " x ".join(
            [f"{s.get('file', '')} row {s['row']}".strip(), *(s[k] for k in ("query_strain", "array_strain") if s[k])]
        )
        for s in provenance["sources"]
    )
    show(line(styled("bold", f"sample {document['index']}"), f" of {len(cache):,} in {cache.directory}"))
    show(f"deleted    {', '.join(genes) or 'nothing (wild type)'}")
    show(f"phenotype  {phenotype['kind']} {phenotype['value']:g}{statistic}")
    show(f"source     {provenance['dataset']}: {sources}", "")
    columns = ["gene", "term", "name", "namespace", "level"]
    rows = [[str(t[c]) for c in columns] for t in document["terms"]]
    show(make_table(f"Rows that switch to 0 (level by {document['level_by']})", columns, rows, right=(4,)), "")
    touched = document["touched_by_level"]
    by_level = " ".join(f"{level}:{count}" for level, count in touched.items())
    show(f"terms that the deletion reaches: {sum(touched.values())}; level:terms {by_level}")
    ones = document["rows"] - document["rows_zero"]
    show(f"mutant_state: {document['rows']:,} rows, {document['rows_zero']:,} at 0, {ones:,} at 1")
    for check, holds in document["checks"].items():
        verdict = styled("green", "ok") if holds else styled("bold red", "FAILED")
        show(line(verdict, f"  {check.replace('_', ' ')}"))
