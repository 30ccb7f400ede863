"""`gocell predict` and `gocell explain`: what a trained network says of a genotype, and which terms say it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.train import RunDir
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.terminal import make_table, note, show, show_json, show_result
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.training.runs.trainer import Trainer

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
Most = Annotated[int, typer.Option("--samples", min=8, help="Test samples that RLIPP is taken over.")]


def predict(
    run: RunDir,
    genes: Genes = None,
    all_pairs: AllPairs = False,
    out: OutFile = None,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Predict any genotype; from a fitness model also the digenic and trigenic interactions of its genes."""
    if all_pairs:
        if out is None:
            raise UsageError("--all-pairs writes a file", hint="--out pairs.parquet")
        _all_pairs(_open(run, cache), genes, out, json=json)
        return
    if genes is None or out is not None:
        raise UsageError("no genotype, or --out without --all-pairs", hint="--genes YKL191W,YLR172C")
    _predict(_open(run, cache), genes, json=json)


def _all_pairs(trainer: "Trainer", genes: list[str] | None, out: Path, *, json: bool) -> None:
    import time

    import numpy as np

    from gocell_cli.commands.shell.progress import pair_progress
    from gocell_cli.training.inference.all_pairs import PairTask, predict_all_pairs

    hierarchy = trainer.hierarchy
    annotated = np.unique(hierarchy.row_gene).astype(np.int64)
    chosen = annotated
    if genes is not None:
        found = [g for entry in genes for g in hierarchy.lookup.genotype(entry.split(","))]
        chosen = np.unique(np.array(found, dtype=np.int64))
    trained = np.unique(trainer.rows.cache.rows(trainer.train_rows).genes).astype(np.int64)
    kind = trainer.store.record()["phenotype"]["kind"]
    task = PairTask(trainer.model, trainer.scale, kind, chosen, trained, hierarchy.gene_names)
    started = time.perf_counter()
    with pair_progress() as report:
        kept = predict_all_pairs(task, out, report)
    seconds = time.perf_counter() - started
    rate = (task.pairs - kept) / seconds
    found_all = len(annotated) * (len(annotated) - 1) // 2
    summary = {
        "out": str(out), "phenotype": kind, "genes": len(chosen), "pairs": task.pairs, "pairs_kept": kept,
        "untrained_genes": int((~np.isin(chosen, trained)).sum()),
        "genes_without_annotation": len(hierarchy.gene_names) - len(annotated), "seconds": round(seconds, 3),
        "pairs_per_second": round(rate, 1), "genome_pairs": found_all,
        "genome_minutes": round(found_all / rate / 60, 1),
    }  # fmt: skip
    told = (
        f"{task.pairs:,} pairs of {len(chosen):,} genes in {out}, {kept:,} of them from before",
        f"{rate:,.0f} pairs/s; all {found_all:,} pairs of the hierarchy take {found_all / rate / 60:,.0f} minutes",
    )
    show_result(summary, lambda: show(*told), json=json, essence=str(out))
    note(f"{summary['untrained_genes']} of the genes were never deleted in training: column untrained_genes", "predict")


def _predict(trainer: "Trainer", genes: list[str], *, json: bool) -> None:
    from gocell_cli.training.inference.interactions import interactions, predict_genotypes

    lookup, names = trainer.hierarchy.lookup, trainer.hierarchy.gene_names
    genotypes = [lookup.genotype(entry.split(",")) for entry in genes]
    values = predict_genotypes(trainer.model, trainer.scale, genotypes).tolist()
    kind = trainer.store.record()["phenotype"]["kind"]
    found: list[dict[str, Any]] = []
    for genotype, value in zip(genotypes, values, strict=True):
        entry: dict[str, Any] = {"genes": [names[g] for g in genotype], kind: value, **_novelty(trainer, genotype)}
        if kind == "fitness" and 2 <= len(genotype) <= 3:
            parts = interactions(trainer.model, trainer.scale, genotype, names)
            entry.update({"parts": parts["fitness"], **{k: v for k, v in parts.items() if k != "fitness"}})
        found.append(entry)
    if json:
        show_json(found)
        return
    for entry in found:
        _print_prediction(entry, kind)


def _novelty(trainer: "Trainer", genotype: tuple[int, ...]) -> dict[str, Any]:
    """The genes that no training sample deletes: DCell knows nothing of them."""
    import numpy as np

    seen = np.unique(trainer.rows.cache.rows(trainer.train_rows).genes)
    return {"never_deleted_in_training": [trainer.hierarchy.gene_names[g] for g in genotype if g not in seen]}


def _print_prediction(entry: dict[str, Any], kind: str) -> None:
    show(f"{'+'.join(entry['genes']) or 'wild type'}: {kind} {entry[kind]:.4f}")
    for part, value in entry.get("parts", {}).items():
        show(f"  fitness of {part}: {value:.4f}")
    for name in ("epsilon", "tau"):
        for part, value in entry.get(name, {}).items():
            show(f"  {name} of {part}: {value:+.4f}")
    if entry["never_deleted_in_training"]:
        note(f"never deleted in training: {', '.join(entry['never_deleted_in_training'])}", "warning")


def explain(
    run: RunDir,
    genes: OneGenotype = None,
    samples: Most = 1000,
    top: Top = 20,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Score every term by RLIPP (what it knows beyond its children), and show what a deletion does to the terms."""
    trainer = _open(run, cache)
    genotype = trainer.hierarchy.lookup.genotype(genes.split(",")) if genes is not None else None
    if genotype == ():
        raise UsageError("--genes names no gene", hint="--genes YKL191W,YLR172C")
    scores = _scores(trainer, samples)
    changes = _effects(trainer, genotype) if genotype is not None else None
    _draw(trainer, scores, changes)
    if json:
        show_json({"run": str(run), "rlipp": scores, "effects": changes})
        return
    show(
        _table("RLIPP: terms that know most beyond their children", scores[:top], ("rlipp", "power", "children_power"))
    )
    if changes is not None:
        show(_table(f"Effect of deleting {genes or ''}", changes[:top], ("activation", "head")))


def _open(run: Path, cache: Path | None) -> "Trainer":
    from gocell_cli.training.runs.open_run import load_best, reopen
    from gocell_cli.training.runs.store import RunStore

    trainer = reopen(RunStore(run), cache)
    load_best(trainer)
    return trainer


def _scores(trainer: "Trainer", most: int) -> list[dict[str, Any]]:
    from gocell_cli.training.inference.explanation import rlipp

    rows = trainer.split.test[:most]
    parts = list(trainer.rows.batches(rows, 512, trainer.model.bias.device))
    scores = rlipp(trainer.model, trainer.hierarchy, parts, trainer.values[rows])
    ranked = sorted(scores, key=lambda s: (s.rlipp is None, -(s.rlipp or 0.0)))
    return [
        {**_name(trainer, s.term), "rlipp": s.rlipp, "power": s.power, "children_power": s.children_power}
        for s in ranked
    ]


def _effects(trainer: "Trainer", genotype: tuple[int, ...]) -> list[dict[str, Any]]:
    from gocell_cli.training.inference.explanation import effects

    found = effects(trainer.model, trainer.hierarchy, genotype)
    return [{**_name(trainer, e.term), "activation": e.activation, "head": e.head} for e in found]


def _name(trainer: "Trainer", term: int) -> dict[str, Any]:
    return {"term": trainer.hierarchy.term_ids[term], "name": trainer.hierarchy.term_names[term]}


def _table(title: str, entries: list[dict[str, Any]], keys: tuple[str, ...]) -> Any:
    rows = [[e["term"], e["name"], *("-" if e[key] is None else f"{e[key]:.4f}" for key in keys)] for e in entries]
    return make_table(title, ["term", "name", *keys], rows, right=tuple(range(2, 2 + len(keys))))


def _draw(trainer: "Trainer", scores: list[dict[str, Any]], changes: list[dict[str, Any]] | None) -> None:
    from gocell_cli.figures.term_figures import term_bars

    folder = trainer.store.figures
    folder.mkdir(parents=True, exist_ok=True)
    term_bars(scores, "rlipp", "RLIPP", folder / "rlipp.png")
    if changes is not None:
        term_bars(changes, "activation", "change of activations against wild type", folder / "effect.png")
    note(f"figures in {folder}", "explain")
