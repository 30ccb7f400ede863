"""`gocell inspect`: what a cache holds, from above, by level, by gene, by sample, and what became of a term."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.look.inspect_split import inspect_split
from gocell_cli.commands.look.inspect_terms import inspect_terms
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.build_file import build_file, read_group
from gocell_cli.commands.shell.command_line import Commands, expand
from gocell_cli.commands.shell.completion import complete_gene, complete_term
from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.terminal import joined_names, line, make_table, note, show, show_json, styled
from gocell_cli.errors import GocellError, LevelsError, SourceMissing

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache

SHOWN = 20
"""Relatives and genes of a term to print."""

Top = Annotated[int, typer.Option("--top", min=1, help="Lines to print; JSON holds all.")]
NamedGene = Annotated[
    str, typer.Argument(help="Systematic name, standard name or alias.", autocompletion=complete_gene)
]
GeneOption = Annotated[
    str | None, typer.Option("--gene", help="Only samples that delete this gene.", autocompletion=complete_gene)
]
TermArgument = Annotated[
    str, typer.Argument(help="Id, such as GO:0000932 or 932, or name.", autocompletion=complete_term)
]

inspect_app = Commands(help="Look into a cache.", no_args_is_help=True)


@inspect_app.callback()
def inspect() -> None:
    """Look into a cache."""


def _open(cache: Path | None, root: Path | None) -> "Cache":
    from gocell_cli.storage.reader import Cache

    return Cache(find_cache(cache, data_root(root)))


inspect_app.command("split")(inspect_split)
inspect_app.command("terms")(inspect_terms)


@inspect_app.command("cache")
def inspect_cache(cache: CacheDir = None, root: Root = None, json: Json = False) -> None:
    """Show a cache from above: samples by deletions, phenotype, terms by level, terms a sample touches."""
    from gocell_cli.storage.overview import describe_cache

    found = describe_cache(_open(cache, root))
    if json:
        show_json(found)
        return
    show(styled("bold", found["cache"]))
    if "phenotypes" not in found:
        spread = _spread_text(found["spread"])
        show(f"phenotype  {found['phenotype']}: {spread}" if spread else "phenotype  no value")
        show(f"samples    {found['samples']:,}, of which {found['without_value']:,} without a value")
    else:
        show(f"samples    {found['samples']:,}, each with one of these phenotypes or more")
        _print_phenotypes(found)
    show(*([_merged_text(found["merged"])] if found["merged"]["rows"] else []))
    rows = [[k, f"{n:,}"] for k, n in found["samples_by_deletions"].items()]
    show(make_table("", ["deleted genes", "samples"], rows, right=(0, 1)), "")
    rows = [[str(x["level"]), f"{x['terms']:,}", f"{x['rows']:,}", f"{x['genes']:,}"] for x in found["levels"]]
    title = f"Terms by {found['level_by']}"
    show(make_table(title, ["level", "terms", "mutant_state rows", "genes"], rows, right=(0, 1, 2, 3)), "")
    rows = [[name, f"{n:,}"] for name, n in sorted(found["terms_after"].items(), key=lambda x: -x[1])]
    show(make_table("Terms after each filter", ["filter", "terms"], rows, right=(1,)))
    if found["names"]:
        show("", "How names were found, in rows", *(f"  {joined_names(counts)}" for counts in found["names"]))


def _spread_text(value: dict[str, float | None]) -> str:
    """`mean 0.84, SD 0.13, -0.03 to 1.2`; "" where there is no value."""
    mean, sd, least, most = (value[name] for name in ("mean", "sd", "min", "max"))
    return f"mean {mean:.4g}, SD {sd:.4g}, {least:.4g} to {most:.4g}" if mean is not None else ""


def _print_phenotypes(found: dict[str, Any]) -> None:
    """Print a line a phenotype: how many samples have it, in all and of each number of deletions."""
    orders = list(found["samples_by_deletions"])
    rows = [
        [
            p["phenotype"],
            p["statistic"],
            f"{p['samples']:,}",
            *(f"{p['samples_by_deletions'].get(k, 0):,}" for k in orders),
            _spread_text(p["spread"]),
        ]
        for p in found["phenotypes"]
    ]
    columns = ["phenotype", "statistic", "samples", *(f"of {k} deletions" for k in orders), "values"]
    show(make_table("", columns, rows, right=tuple(range(2, 3 + len(orders)))), "")


def _merged_text(merged: dict[str, Any]) -> str:
    """`merged     102 rows with others of their genotype, by inverse-variance (3 rows without SD, ...)`."""
    weights = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in merged.items() if name not in ("rule", "rows"))
    about = f" ({weights})" if weights else ""
    return f"merged     {merged['rows']:,} rows with others of their genotype, by {merged['rule']}{about}"


@inspect_app.command("level")
def inspect_level(
    level: Annotated[int, typer.Argument(help="Level, as the cache counts it.")],
    cache: CacheDir = None,
    root: Root = None,
    top: Top = 20,
    json: Json = False,
) -> None:
    """List the terms of a level: what a trainer runs at once."""
    from gocell_cli.storage.overview import describe_level

    found = describe_level(_open(cache, root), level)
    if json:
        show_json(found)
        return
    columns = ["term", "name", "children", "direct_genes", "contained_genes"]
    rows = [[str(t[c]) for c in columns] for t in found["terms"][:top]]
    title = f"{len(found['terms']):,} terms at level {level} (by {found['level_by']})"
    show(make_table(title, [c.replace("_", " ") for c in columns], rows, right=(2, 3, 4)))


@inspect_app.command("gene")
def inspect_gene(gene: NamedGene, cache: CacheDir = None, root: Root = None, json: Json = False) -> None:
    """Show a gene: its names, the terms that hold it, its annotations, how many terms its deletion reaches a level."""
    from gocell_cli.storage.overview import describe_gene

    opened = _open(cache, root)
    found = describe_gene(opened, gene)
    found["annotations"] = _annotations(opened, root, found["gene"])
    if json:
        show_json(found)
        return
    names = [n for n in (found["standard"], *found["aliases"], *found["ids"]) if n]
    show(line(styled("bold", found["gene"]), f"  {', '.join(names)}"))
    rows = [[str(t[c]) for c in ("level", "term", "name", "contained_genes")] for t in found["terms"]]
    show(make_table("Terms that hold it", ["level", "term", "name", "contained genes"], rows, right=(0, 3)), "")
    if found["annotations"]:
        columns = ["term", "name", "evidence", "qualifier", "date", "in use"]
        rows = [[*(t[c] or "" for c in columns[:4]), *_dated(t)] for t in found["annotations"]]
        show(make_table("What its annotations say", columns, rows), "")
    by_level = " ".join(f"{k}:{n}" for k, n in found["touched_by_level"].items())
    show(f"its deletion reaches {found['touched_terms']} terms; level:terms {by_level}")
    show(f"{found['samples']:,} samples of {opened.directory} delete it")


def _dated(annotation: dict[str, Any]) -> tuple[str, str]:
    """`20160101`, and whether the rules leave the annotation."""
    return str(annotation["date"] or ""), "yes" if annotation["in_use"] else "no"


def _annotations(cache: "Cache", root: Path | None, gene: str) -> list[dict[str, Any]] | None:
    """What the annotations that a cache was built of say of a gene; None, and a note, where they are not at hand."""
    from gocell_cli.building.gene_report import gene_report

    chosen = _as_built(HierarchyChoice(), cache)
    try:
        release = chosen.fetched(root, offline=True).read()
        rules = chosen.rules(release.genes)
    except GocellError as error:
        note(f"its annotations are left out: {error.message}")
        return None
    told = cache.manifest.config["sources"]
    if any(told.get(name) != sha256 for name, sha256 in release.sha256.items()):
        note("its annotations are left out: the files that the cache was built of are others now")
        return None
    return gene_report(release.ontology, release.annotations, release.genes, rules, gene, until=chosen.until)


@inspect_app.command("samples")
def inspect_samples(
    gene: GeneOption = None, cache: CacheDir = None, root: Root = None, top: Top = 20, json: Json = False
) -> None:
    """List samples, of one gene if need be: number, deleted genes, phenotype."""
    from gocell_cli.storage.overview import list_samples, samples_of

    opened = _open(cache, root)
    chosen = samples_of(opened, gene)
    found = list_samples(opened, chosen if json else chosen[:top])
    if json:
        show_json({"cache": str(opened.directory), "samples": found})
        return
    rows = [[str(s["sample"]), " ".join(s["standard_names"]), f"{s['value']:.4g}"] for s in found]
    kind = opened.phenotype["kind"]
    show(make_table(f"{len(chosen):,} samples", ["sample", "deleted", kind], rows, right=(0, 2)))


@inspect_app.command("term")
@expand
def inspect_term(
    term: TermArgument,
    choice: HierarchyChoice,
    cache: CacheDir = None,
    root: Root = None,
    offline: opt.Offline = False,
    json: Json = False,
) -> None:
    """Show a term: names, levels, parents, children, genes, and whether a cache kept, merged or filtered it.

    Ontology, annotations and filters are those of the cache (its build file says which), unless options name others.
    """
    from gocell_cli.building.term_report import term_report

    opened = _latest(cache, data_root(root))
    chosen = _as_built(choice, opened)
    chosen.check()
    release = chosen.fetched(root, offline=offline).load()
    rules = chosen.rules(release.genes)
    found = term_report(
        release.ontology, release.annotations, release.genes, rules, term, until=chosen.until, cache=opened
    )
    if opened is not None and "in_cache" in found and found["in_cache"]["cache"] is None:
        note(f"{opened.directory} was built from another ontology or with other filters; what it did is left out")
    if json:
        show_json(found)
    else:
        _print_term(found)


def _latest(cache: Path | None, root: Path) -> "Cache | None":
    """Open the cache named, else the latest one; None where there is none yet."""
    try:
        return _open(cache, root)
    except SourceMissing:
        if cache is not None:
            raise
        note(f"no cache has been built under {root} yet; what follows is what one would do")
        return None


def _as_built(choice: HierarchyChoice, cache: "Cache | None") -> HierarchyChoice:
    """Return the choice of the cache's build file where no option makes another."""
    if cache is None or choice != HierarchyChoice():
        return choice
    path = build_file(cache.directory)
    if path.is_file():
        return read_group(path, HierarchyChoice)
    note(f"{path}: no build file, so the default ontology and preset are used", "warning")
    return choice


def _print_obsolete(found: dict[str, Any]) -> None:
    heirs = ", ".join(f"{t['term']} ({t['name']})" if t["name"] else t["term"] for t in found["replaced_by"])
    said = f"; replaced by {heirs}" if heirs else "; nothing is said to replace it"
    show(line(styled("bold", found["term"]), f" is obsolete in {found['ontology']}{said}"))


def _print_term(found: dict[str, Any]) -> None:
    if found["is_obsolete"]:
        _print_obsolete(found)
        return
    show(line(styled("bold", found["term"]), f"  {found['name']}"))
    show(f"{found['namespace']}, {found['ontology']}")
    if found["alternative_ids"]:
        show(f"also {', '.join(found['alternative_ids'])}")
    show("  ".join(f"{by} {found[by]}" for by in ("level", "depth", "stratum", "height")), "")
    for relatives, one in (("parents", "parent"), ("children", "child")):
        columns = ["term", "name", "relation"]
        rows = [[t[c] for c in columns] for t in found[relatives][:SHOWN]]
        if rows:
            count = len(found[relatives])
            show(make_table(f"{count:,} {relatives if count > 1 else one}", columns, rows), "")
    _print_evidence(found["direct_genes"])
    for kind in ("direct", "contained"):
        genes = [g["standard"] or g["gene"] for g in found[f"{kind}_genes"]]
        more = f", ... ({len(genes) - SHOWN:,} more; --json has all)" if len(genes) > SHOWN else ""
        show(f"{len(genes):,} {kind} genes: {', '.join(genes[:SHOWN])}{more}" if genes else f"0 {kind} genes")
    show("", _fate_line(found["in_cache"], genes=bool(found["direct_genes"])))


def _print_evidence(genes: list[dict[str, Any]]) -> None:
    """Print what annotates the first of a term's genes, a row an annotation."""
    told = [(g["standard"] or g["gene"], annotation) for g in genes for annotation in g["annotations"]]
    rows = [[name, a["evidence"], a["qualifier"], *_dated(a)] for name, a in told[:SHOWN]]
    if any(a["evidence"] or a["date"] for _, a in told):  # a ready hierarchy says neither
        more = f", {SHOWN} shown" if len(told) > SHOWN else ""
        columns = ["gene", "evidence", "qualifier", "date", "in use"]
        show(make_table(f"{len(told):,} annotations of its direct genes{more}", columns, rows), "")


def _fate_line(fate: dict[str, Any], *, genes: bool) -> Text:
    where = fate["cache"] if fate["cache"] is not None else "a cache with these filters"
    into = ", ".join(f"{t['term']} ({t['name']})" for t in fate["into"])
    if fate["fate"] == "kept":
        held = (
            f", at level {fate['level']} with {fate['direct_genes']:,} direct and"
            f" {fate['contained_genes']:,} contained genes"
            if "level" in fate
            else ""
        )
        return line(styled("green", "kept"), f" in {where}{held}")
    if fate["fate"] == "merged":
        return line(styled("yellow", "merged"), f" in {where}: redundant, {into} holds the same genes")
    moved = f"; its genes moved to {into}" if into and genes else ""
    return line(styled("yellow", "filtered"), f" in {where}: it fails the rule '{fate['rule']}'{moved}")


@inspect_app.command("sample")
def inspect_sample(
    index: Annotated[int, typer.Argument(help="Number of the sample, from 0.", min=0)],
    cache: CacheDir = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Show one sample: its deleted genes, phenotype, and the mutant_state rows that switch to 0."""
    from gocell_cli.storage.overview import describe_sample

    opened = _open(cache, root)
    found = describe_sample(opened, index)
    if json:
        show_json(found)
    else:
        _print_sample(opened, found)
    if not all(found["checks"].values()):
        raise typer.Exit(LevelsError.exit_code)


def _strain(source: dict[str, Any], side: str) -> str:
    """`YBR126C_dma298 (tps1-supp1, suppressor, fitness 0.7345)`: its name, allele, kind and published fitness."""
    fitness = source[f"{side}_fitness"]
    told = "" if fitness is None else f"fitness {fitness:g}"
    about = ", ".join(text for text in (source[f"{side}_allele"], source[f"{side}_kind"], told) if text)
    return f"{source[f'{side}_strain']} ({about})"


def _label_text(label: dict[str, Any]) -> str:
    """`fitness 0.83, sd 0.02`, or that it was not measured."""
    if label["value"] is None:
        return f"{label['phenotype']}: not measured"
    statistic = "" if label["statistic"] is None else f", {label['statistic_kind']} {label['statistic']:g}"
    return f"{label['phenotype']} {label['value']:g}{statistic}"


def _print_sample(cache: "Cache", found: dict[str, Any]) -> None:
    genes = [
        f"{name} ({standard})" if standard else name
        for name, standard in zip(found["genes"], found["standard_names"], strict=True)
    ]
    provenance = found["provenance"]
    sources = "; ".join(
        " x ".join(
            [
                f"{s.get('file', '')} row {s['row']}".strip(),
                *(_strain(s, k) for k in ("query", "array") if s[f"{k}_kind"]),
            ]
        )
        for s in provenance["sources"]
    )
    show(line(styled("bold", f"sample {found['sample']}"), f" of {len(cache):,} in {cache.directory}"))
    channels = cache.hierarchy.inputs is not None
    show(f"{'changed' if channels else 'deleted'}    {', '.join(genes) or 'nothing (wild type)'}")
    for label in (found, *found.get("other_phenotypes", ())):
        show(f"phenotype  {_label_text(label)}")
    show(f"source     {provenance['dataset']}: {sources}", "")
    columns = ["gene", "term", "name", "namespace", "level", *(["channel", "state", "wild_type"] if channels else [])]
    rows = [[f"{t[c]:g}" if isinstance(t[c], float) else str(t[c]) for c in columns] for t in found["terms"]]
    title = "Rows of changed inputs" if channels else "Rows that switch to 0"
    show(make_table(f"{title} (level by {found['level_by']})", columns, rows, right=(4, 6, 7)), "")
    touched = found["touched_by_level"]
    by_level = " ".join(f"{level}:{count}" for level, count in touched.items())
    show(f"terms that the deletion reaches: {sum(touched.values())}; level:terms {by_level}")
    ones = found["rows"] - found["rows_zero"]
    show(f"mutant_state: {found['rows']:,} rows, {found['rows_zero']:,} at 0, {ones:,} at 1")
    for check, holds in found["checks"].items():
        verdict = styled("green", "ok") if holds else styled("bold red", "FAILED")
        show(line(verdict, f"  {check.replace('_', ' ')}"))
