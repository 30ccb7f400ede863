"""`gocell plot`: figures of levels, batches and caches, as PNG, SVG or PDF."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import Commands, expand
from gocell_cli.commands.shell.completion import complete_cache
from gocell_cli.commands.shell.places import Force, data_root, find_cache, require_place
from gocell_cli.commands.shell.terminal import show, show_result
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gocell_cli.figures.level_figures import LevelPicture

plot_app = Commands(help="Draw levels, batches and caches as PNG, SVG or PDF.", no_args_is_help=True)

FigureOut = Annotated[Path, typer.Option("--out", "-o", help="File to write: .png, .svg or .pdf.")]
OfCache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Draw the hierarchy of this cache, not one of ontology options.",
        autocompletion=complete_cache,
    ),
]
OfPhenotype = Annotated[
    str | None, typer.Option("--phenotype", help="Draw this one of a cache's several phenotypes; default: all.")
]
SUFFIXES = (".png", ".svg", ".pdf")


@plot_app.callback()
def plot() -> None:
    """Draw levels, batches and caches as PNG, SVG or PDF."""


@dataclass(frozen=True)
class _Figure:
    """Where a figure of levels goes, and where its ontology is looked for; or the cache that it is of."""

    out: FigureOut
    cache: OfCache = None
    root: opt.Root = None
    offline: opt.Offline = False
    overwrite: Force = False
    json: opt.Json = False

    def files(self, choice: HierarchyChoice) -> HierarchyChoice:
        """Return the choice with its files at hand; raises UsageError, before all, where the figure cannot go there."""
        require_place(self.out, SUFFIXES, overwrite=self.overwrite)
        choice.check()
        return choice.fetched(self.root, offline=self.offline)

    def of_cache(self, choice: HierarchyChoice) -> "LevelPicture | None":
        """Return what is drawn of the cache that --cache names, else None; raises UsageError as `files` does."""
        if self.cache is None:
            return None
        if choice != HierarchyChoice():
            raise UsageError("--cache and ontology options name two hierarchies", hint="leave one out")
        require_place(self.out, SUFFIXES, overwrite=self.overwrite)
        from gocell_cli.figures.level_figures import picture_of_cache
        from gocell_cli.storage.reader import Cache

        opened = Cache(find_cache(self.cache, data_root(self.root)))
        return picture_of_cache(opened.hierarchy, opened.directory.resolve().name)


@plot_app.command("levels")
@expand
def plot_levels(figure: _Figure, choice: HierarchyChoice) -> None:
    """Draw the terms of each level by GOATOOLS' level and depth, stratum and height, and every edge no batch may hold.

    Above, the whole ontology; below, the hierarchy that a cache would use: the batches that a trainer sees. Of a cache,
    and of a ready hierarchy, that alone.
    """
    from gocell_cli.figures.level_figures import level_distributions, panel_numbers, picture_of

    cached = figure.of_cache(choice)
    if cached is not None:
        pictures = [cached]
    else:
        files = figure.files(choice)
        used = picture_of(files.filtered_graph())
        pictures = [used] if choice.hierarchy is not None else [_whole(files), used]
    numbers = {"panels": [panel_numbers(p) for p in pictures]}
    _write(level_distributions(*pictures), figure.out, numbers, json=figure.json)


@plot_app.command("batches")
@expand
def plot_batches(figure: _Figure, choice: HierarchyChoice) -> None:
    """Draw how many terms a trainer runs at once, batch by batch, by stratum and by height."""
    from gocell_cli.figures.level_figures import batch_distribution, batch_numbers, batch_sizes, picture_of

    picture = figure.of_cache(choice) or picture_of(figure.files(choice).filtered_graph())
    sizes = {by: batch_sizes(picture.groupings[by]) for by in ("stratum", "height")}
    found: dict[str, Any] = {
        "graph": picture.title,
        "batches": {by: each.tolist() for by, each in sizes.items()},
        "numbers": {by: batch_numbers(each) for by, each in sizes.items()},
    }
    told = [_batches_line(by, numbers) for by, numbers in found["numbers"].items()]
    _write(batch_distribution(picture), figure.out, found, told, json=figure.json)


def _batches_line(by: str, numbers: dict[str, Any]) -> str:
    sizes = f"{numbers['mean']:,.1f} on the mean, {numbers['largest']:,} at most, {numbers['smallest']:,} at least"
    saved = f"{numbers['fewer_steps']:,.0f} times fewer steps than a term at a time"
    efficiency = f"parallel efficiency {numbers['parallel_efficiency']:.0%}"
    return f"by {by}: {numbers['terms']:,} terms in {numbers['batches']} batches, {sizes}; {saved}, {efficiency}"


@plot_app.command("comparison")
@expand
def plot_comparison(figure: _Figure, choice: HierarchyChoice) -> None:
    """Draw GOATOOLS' level against the stratum of every term: how far the shortest path is from a batch."""
    from gocell_cli.figures.level_figures import level_against_stratum, picture_of

    picture = figure.of_cache(choice)
    if picture is None:
        files = figure.files(choice)
        picture = picture_of(files.filtered_graph()) if choice.hierarchy is not None else _whole(files)
    _write(level_against_stratum(picture), figure.out, {"graph": picture.title}, json=figure.json)


@plot_app.command("cache")
def plot_cache(
    out: FigureOut,
    cache: opt.CacheDir = None,
    phenotype: OfPhenotype = None,
    root: opt.Root = None,
    overwrite: Force = False,
    json: opt.Json = False,
) -> None:
    """Draw a cache's phenotypes, deleted genes per sample, and mutant_state rows that each sample switches to 0."""
    from gocell_cli.figures.cache_figures import rows_touched, sample_figures
    from gocell_cli.storage.reader import Cache

    require_place(out, SUFFIXES, overwrite=overwrite)
    opened = Cache(find_cache(cache, data_root(root))).of_phenotype(phenotype or "")
    samples = opened.columns()
    kinds = [opened.phenotype["kind"]] if phenotype else [one["kind"] for one in opened.manifest.phenotypes]
    figure = sample_figures(samples, opened.hierarchy, *kinds)
    touched = rows_touched(samples, opened.hierarchy)
    numbers = {"cache": str(opened.directory), "samples": len(samples), "rows_touched": int(touched.sum())}
    _write(figure, out, numbers, json=json)


def _whole(choice: HierarchyChoice) -> "LevelPicture":
    """The whole ontology, over the relations of the preset in use: what its filters start from."""
    from gocell_cli.domain.term_filters import PRESETS
    from gocell_cli.figures.level_figures import picture_of

    relations = choice.relations or ",".join(PRESETS[choice.preset.value].relations)
    return picture_of(HierarchyChoice(obo=choice.obo, relations=relations).whole_graph())


def _write(figure: "Figure", out: Path, numbers: dict[str, Any], told: Sequence[str] = (), *, json: bool) -> None:
    from gocell_cli.figures.canvas import save

    def tell() -> None:
        for text in (str(out), *told):
            show(text)

    save(figure, out)
    show_result({"out": str(out), **numbers}, tell, json=json, essence=str(out))
