"""`gocell predict` and `gocell explain`: what a trained network says of a genotype, and which terms say it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.evaluate import RunDir, opened_cache
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.terminal import make_table, note, show, show_json, show_result
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.storage.schema import Hierarchy
    from gocell_cli.training.inference.predict import Prediction, Predictor

Genes = Annotated[
    list[str] | None,
    typer.Option("--genes", help="Deleted genes, comma-separated: any kind of name; repeatable. '': wild type."),
]
AllPairs = Annotated[
    bool, typer.Option("--all-pairs", help="All double deletions: of all annotated genes, or of those in --genes.")
]
OutFile = Annotated[Path | None, typer.Option("--out", help="Parquet file of --all-pairs; a stopped run goes on.")]
OneGenotype = Annotated[str | None, typer.Option("--genes", help="Also the effect of deleting these genes.")]
Top = Annotated[int, typer.Option(min=1, help="Terms to print; JSON holds all.")]
Most = Annotated[int, typer.Option("--rlipp-samples", min=8, help="Test samples that RLIPP is taken over.")]
OldMost = Annotated[int | None, typer.Option("--samples", min=8, hidden=True, help="What --rlipp-samples was called.")]


def predict(
    run: RunDir,
    genes: Genes = None,
    all_pairs: AllPairs = False,
    out: OutFile = None,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Predict any genotype; from a fitness model also the digenic and trigenic interactions of its genes.

    The run's own directory is enough: its cache is read only where --cache names it, or the run is older than that.
    """
    if all_pairs and out is None:
        raise UsageError("--all-pairs writes a file", hint="--out pairs.parquet")
    if not all_pairs and (genes is None or out is not None):
        raise UsageError("no genotype, or --out without --all-pairs", hint="--genes YKL191W,YLR172C")
    predictor = _opened(run, cache, genes or [], out)
    if out is not None:
        _all_pairs(predictor, genes, out, json=json)
        return
    found = predictor.predictions([predictor.genotype(entry) for entry in genes or []])
    if json:
        show_json([prediction.as_json() for prediction in found])
        return
    for prediction in found:
        _print(prediction)


def _opened(run: Path, cache: Path | None, genes: list[str], out: Path | None) -> "Predictor":
    """Open what a run predicts with; what is asked for is checked before torch is loaded."""
    from gocell_cli.commands.model.refusals import before_opening, named_genes, require_pairs_file, tell_compiling
    from gocell_cli.training.inference.requests import require_pairs

    record = before_opening(run, cache, samples=False)
    if out is not None:
        require_pairs_file(out)
    hierarchy, named = named_genes(run, record, genes)
    if out is not None and genes and named is not None:
        require_pairs(len({gene for genotype in named for gene in genotype}))
    from gocell_cli.training.runs.run import open_predictor

    tell_compiling()

    return open_predictor(run, cache, hierarchy)


def _all_pairs(predictor: "Predictor", genes: list[str] | None, out: Path, *, json: bool) -> None:
    from gocell_cli.commands.shell.progress import pair_progress
    from gocell_cli.training.inference.all_pairs import PairTask, predict_all_pairs

    with pair_progress() as report:
        done = predict_all_pairs(PairTask.of(predictor, genes), out, report)
    told = (
        f"{done.pairs:,} pairs of {done.genes:,} genes in {out}, {done.pairs_kept:,} of them from before",
        f"{done.pairs_per_second:,.0f} pairs/s;"
        f" all {done.genome_pairs:,} pairs of the hierarchy take {done.genome_minutes:,.0f} minutes",
    )
    show_result(asdict(done), lambda: show(*told), json=json, essence=str(out))
    note(f"{done.untrained_genes} of the genes were never deleted in training: column untrained_genes", "predict")


def _print(prediction: "Prediction") -> None:
    show(f"{'+'.join(prediction.genes) or 'wild type'}: {prediction.kind} {prediction.value:.4f}")
    for part, value in prediction.parts.items():
        show(f"  fitness of {part}: {value:.4f}")
    for name, values in (("epsilon", prediction.epsilon), ("tau", prediction.tau)):
        for part, value in values.items():
            show(f"  {name} of {part}: {value:+.4f}")
    if prediction.novel:
        note(f"never deleted in training: {', '.join(prediction.novel)}", "warning")


def explain(
    run: RunDir,
    genes: OneGenotype = None,
    rlipp_samples: Most = 1000,
    samples: OldMost = None,
    top: Top = 20,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Score every term by RLIPP (what it knows beyond its children), and show what a deletion does to the terms.

    RLIPP reads the run's cache; where that is gone, --genes still shows what the deletion does.
    """
    from gocell_cli.commands.model.refusals import before_opening, named_genes, tell_compiling
    from gocell_cli.training.inference.requests import no_gene
    from gocell_cli.training.runs.store import RunStore

    record = RunStore(run).record()
    scored = genes is None or cache is not None or Path(record.cache).is_dir()
    before_opening(run, cache, samples=scored)
    _, named = named_genes(run, record, [] if genes is None else [genes])
    if named == [()]:
        raise no_gene()
    opened = opened_cache(run, cache) if scored else None
    from gocell_cli.training.runs.run import explain_run

    tell_compiling()

    found = explain_run(run, opened, genes, samples or rlipp_samples)
    scores = _named(found.hierarchy, found.scores, ("rlipp", "power", "children_power"))
    changes = _named(found.hierarchy, found.effects, ("activation", "head"))
    _draw(run / "figures", scores, changes)
    if json:
        show_json({"run": str(run), "rlipp": scores, "effects": changes})
    elif scores is not None:
        title = "RLIPP: terms that know most beyond their children"
        show(_table(title, scores[:top], ("rlipp", "power", "children_power")))
    if scores is None:
        note("no RLIPP: it reads the run's cache, which is not there; --cache DIR says where it is now", "warning")
    if changes is not None and not json:
        show(_table(f"Effect of deleting {genes or ''}", changes[:top], ("activation", "head")))


def _named(hierarchy: "Hierarchy", found: "Sequence[Any] | None", keys: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """Return values of terms with the terms' ids and names."""
    if found is None:
        return None
    ids, names = hierarchy.term_ids, hierarchy.term_names
    return [
        {"term": ids[one.term], "name": names[one.term], **{key: getattr(one, key) for key in keys}} for one in found
    ]


def _table(title: str, entries: list[dict[str, Any]], keys: tuple[str, ...]) -> Any:
    rows = [[e["term"], e["name"], *("-" if e[key] is None else f"{e[key]:.4f}" for key in keys)] for e in entries]
    return make_table(title, ["term", "name", *keys], rows, right=tuple(range(2, 2 + len(keys))))


def _draw(folder: Path, scores: list[dict[str, Any]] | None, changes: list[dict[str, Any]] | None) -> None:
    from gocell_cli.figures.term_figures import term_bars

    folder.mkdir(parents=True, exist_ok=True)
    if scores is not None:
        term_bars(scores, "rlipp", "RLIPP", folder / "rlipp.png")
    if changes is not None:
        term_bars(changes, "activation", "change of activations against wild type", folder / "effect.png")
    note(f"figures in {folder}", "explain")
