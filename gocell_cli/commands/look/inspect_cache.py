"""`gocell inspect cache | level | gene | samples`: a cache from above, by level, by gene."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.shell.completion import complete_gene
from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.terminal import line, make_table, show, show_json, styled
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache

Top = Annotated[int, typer.Option("--top", min=1, help="Lines to print; JSON holds all.")]
NamedGene = Annotated[
    str, typer.Argument(help="Systematic name, standard name or alias.", autocompletion=complete_gene)
]
GeneOption = Annotated[
    str | None, typer.Option("--gene", help="Only samples that delete this gene.", autocompletion=complete_gene)
]


def inspect_cache(cache: CacheDir = None, root: Root = None, json: Json = False) -> None:
    """Show a cache from above: samples by deletions, phenotype, terms by level, terms a sample touches."""
    document = _overview(_open(cache, root))
    if json:
        show_json(document)
        return
    value = document["value"]
    show(styled("bold", document["cache"]))
    spread = f"mean {value['mean']:.4g}, SD {value['sd']:.4g}, {value['min']:.4g} to {value['max']:.4g}"
    show(f"phenotype  {document['phenotype']}: {spread}" if value["mean"] is not None else "phenotype  no value")
    show(f"samples    {document['samples']:,}, of which {document['without_value']:,} without a value")
    rows = [[k, f"{n:,}"] for k, n in document["samples_by_deletions"].items()]
    show(make_table("", ["deleted genes", "samples"], rows, right=(0, 1)), "")
    rows = [[str(x["level"]), f"{x['terms']:,}", f"{x['rows']:,}", f"{x['genes']:,}"] for x in document["levels"]]
    title = f"Terms by {document['level_by']}"
    show(make_table(title, ["level", "terms", "mutant_state rows", "genes"], rows, right=(0, 1, 2, 3)), "")
    rows = [[name, f"{n:,}"] for name, n in sorted(document["terms_after"].items(), key=lambda x: -x[1])]
    show(make_table("Terms after each filter", ["filter", "terms"], rows, right=(1,)))


def _open(cache: Any, root: Any) -> "Cache":
    from gocell_cli.storage.reader import Cache

    return Cache(find_cache(cache, data_root(root)))


def _overview(cache: "Cache") -> dict[str, Any]:
    import numpy as np

    hierarchy, samples = cache.hierarchy, cache.columns()
    known = samples.value[np.isfinite(samples.value)]
    sizes, counts = np.unique(np.diff(samples.gene_ptr), return_counts=True)
    level_of_row = hierarchy.level[hierarchy.row_term]
    levels = [
        {
            "level": level,
            "terms": int((hierarchy.level == level).sum()),
            "rows": int((level_of_row == level).sum()),
            "genes": len(np.unique(hierarchy.row_gene[level_of_row == level])),
        }
        for level in np.unique(hierarchy.level).tolist()
    ]
    return {
        "cache": str(cache.directory),
        "datasets": list(cache.manifest.datasets),
        "phenotype": cache.manifest.phenotype["kind"],
        "samples": len(samples),
        "without_value": len(samples) - len(known),
        "value": {
            name: float(function(known)) if len(known) else None
            for name, function in (("mean", np.mean), ("sd", np.std), ("min", np.min), ("max", np.max))
        },
        "samples_by_deletions": {str(k): n for k, n in zip(sizes.tolist(), counts.tolist(), strict=True)},
        "level_by": hierarchy.level_by,
        "levels": levels,
        "terms_after": dict(cache.manifest.counts.get("terms_after", {})),
    }


def inspect_level(
    level: Annotated[int, typer.Argument(help="Level, as the cache counts it.")],
    cache: CacheDir = None,
    root: Root = None,
    top: Top = 20,
    json: Json = False,
) -> None:
    """List the terms of a level: what a trainer runs at once."""
    import numpy as np

    opened = _open(cache, root)
    hierarchy = opened.hierarchy
    terms = np.flatnonzero(hierarchy.level == level)
    if not len(terms):
        low, high = int(hierarchy.level.min()), int(hierarchy.level.max())
        raise UsageError(
            f"no term is at level {level}", hint=f"levels by {hierarchy.level_by} run from {low} to {high}"
        )
    terms = terms[np.argsort(-hierarchy.contained_genes[terms], kind="stable")]
    found = [_term(opened, t) for t in terms.tolist()]
    if json:
        show_json({"level": level, "level_by": hierarchy.level_by, "terms": found})
        return
    columns = ["term", "name", "children", "direct_genes", "contained_genes"]
    rows = [[str(t[c]) for c in columns] for t in found[:top]]
    title = f"{len(found):,} terms at level {level} (by {hierarchy.level_by})"
    show(make_table(title, [c.replace("_", " ") for c in columns], rows, right=(2, 3, 4)))


def _term(cache: "Cache", term: int) -> dict[str, Any]:
    hierarchy = cache.hierarchy
    return {
        "term": hierarchy.term_ids[term],
        "name": hierarchy.term_names[term],
        "namespace": hierarchy.term_namespaces[term],
        "level": int(hierarchy.level[term]),
        "children": int((hierarchy.edge_parent == term).sum()),
        "direct_genes": int(hierarchy.direct_genes[term]),
        "contained_genes": int(hierarchy.contained_genes[term]),
    }


def inspect_gene(gene: NamedGene, cache: CacheDir = None, root: Root = None, json: Json = False) -> None:
    """Show a gene: its names, the terms that hold it directly, and how many terms its deletion reaches a level."""
    import numpy as np

    from gocell_cli.storage.propagation import reached_terms, terms_by_level

    opened = _open(cache, root)
    hierarchy = opened.hierarchy
    index = hierarchy.lookup.gene(gene)
    rows = hierarchy.gene_rows[hierarchy.gene_ptr[index] : hierarchy.gene_ptr[index + 1]]
    direct = hierarchy.row_term[rows]
    reached = reached_terms(hierarchy, [index])
    document: dict[str, Any] = {
        "gene": hierarchy.gene_names[index],
        "standard": hierarchy.gene_standard[index],
        "aliases": list(hierarchy.gene_aliases[index]),
        "terms": [_term(opened, t) for t in direct[np.argsort(hierarchy.level[direct], kind="stable")].tolist()],
        "touched_terms": len(reached),
        "touched_by_level": {str(k): n for k, n in terms_by_level(hierarchy, reached).items()},
        "samples": len(_samples_of(opened, index)),
    }
    if json:
        show_json(document)
        return
    names = [n for n in (document["standard"], *document["aliases"]) if n]
    show(line(styled("bold", document["gene"]), f"  {', '.join(map(str, names))}"))
    table = [[str(t[c]) for c in ("level", "term", "name", "contained_genes")] for t in document["terms"]]
    show(make_table("Terms that hold it", ["level", "term", "name", "contained genes"], table, right=(0, 3)), "")
    by_level = " ".join(f"{k}:{n}" for k, n in document["touched_by_level"].items())
    show(f"its deletion reaches {len(reached)} terms; level:terms {by_level}")
    show(f"{document['samples']:,} samples of {opened.directory} delete it")


def _samples_of(cache: "Cache", gene: int) -> list[int]:
    import numpy as np

    samples = cache.columns()
    owner = np.repeat(np.arange(len(samples)), np.diff(samples.gene_ptr))
    found: list[int] = np.unique(owner[samples.genes == gene]).tolist()
    return found


def inspect_samples(
    gene: GeneOption = None, cache: CacheDir = None, root: Root = None, top: Top = 20, json: Json = False
) -> None:
    """List samples, of one gene if need be: number, deleted genes, phenotype."""
    opened = _open(cache, root)
    hierarchy = opened.hierarchy
    chosen = list(range(len(opened))) if gene is None else _samples_of(opened, hierarchy.lookup.gene(gene))
    shown = chosen if json else chosen[:top]
    found: list[dict[str, Any]] = []
    for index, sample in ((i, opened.sample(i)) for i in shown):
        names = [hierarchy.gene_standard[g] or hierarchy.gene_names[g] for g in sample.genes]
        genes = [hierarchy.gene_names[g] for g in sample.genes]
        found.append({"sample": index, "genes": genes, "names": names, "value": sample.value})
    if json:
        show_json({"cache": str(opened.directory), "samples": found})
        return
    rows = [[str(s["sample"]), " ".join(s["names"]), f"{s['value']:.4g}"] for s in found]
    kind = opened.manifest.phenotype["kind"]
    show(make_table(f"{len(chosen):,} samples", ["sample", "deleted", kind], rows, right=(0, 2)))
