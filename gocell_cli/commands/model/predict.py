"""`gocell predict`: what a trained network says of a genotype."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.evaluate import RunDir
from gocell_cli.commands.model.predict_every import EveryForm, predict_every
from gocell_cli.commands.model.predict_table import TableForm, predict_table
from gocell_cli.commands.model.predictors import Opening, members
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.completion import complete_voice
from gocell_cli.commands.shell.gene_lists import gene_entries
from gocell_cli.commands.shell.places import Force
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table, write_table
from gocell_cli.commands.shell.terminal import note, show, show_json
from gocell_cli.errors import UsageError
from gocell_cli.series_record import is_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gocell_cli.training.inference.predict import Prediction, Predictor
    from gocell_cli.training.inference.together import Together

Genes = Annotated[
    list[str] | None,
    typer.Option(
        "--genes",
        help="Deleted genes, comma-separated: any kind of name; repeatable. '': wild type. @FILE: a genotype a line.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Which voice answers: blend (default where the run has one), dcell, wide, neighbours or encoder.",
        autocompletion=complete_voice,
    ),
]
OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help=f"Table of the predictions: {KINDS}. Of --all-pairs, --all-triples Parquet,"
        " with --top .tsv and .csv too; a stopped run goes on.",
    ),
]


OFF = 0.05
"""How far from 1 a wild type may be predicted before epsilon is told to be off."""


@expand
def predict(
    run: RunDir,
    form: TableForm,
    every: EveryForm,
    genes: Genes = None,
    out: OutFile = None,
    overwrite: Force = False,
    model: Model = None,
    phenotype: opt.OfSeveral = None,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Predict any genotype; from a fitness model also the digenic and trigenic interactions of its genes.

    A series of runs is one model: the mean of its runs over the ontology, and their standard deviation.

    --input predicts every genotype of a table: a row for each, with a reason where it is not predicted. --all-pairs and
    --all-triples make the genotypes themselves.

    Of several phenotypes --genes has all, one after the other, and a table one: the first, or that of --phenotype.

    The run's own directory is enough: its cache is read only where --cache names it, or the run is older than that.
    """
    genes = None if genes is None else gene_entries(genes)
    every.require(form, genes)
    if form.input is not None:
        require_table(out, overwrite=overwrite, json=json)
        predict_table(run, form, out, model, cache, phenotype, json=json)
    elif every.order:
        predict_every(run, every, form, genes, out, model, cache, phenotype, json=json)
    elif genes is None:
        raise UsageError(
            "no genotype is named", hint="--genes YKL191W,YLR172C; or --input FILE; or --all-pairs --out pairs.parquet"
        )
    else:
        require_table(out, overwrite=overwrite, json=json)
        found = _predictions(run, cache, genes, model, phenotype)
        _tell(run, found, out, json=json)
        if any(one.as_json().get("epsilon") for one in found):
            _tell_singles(run)


def _tell(run: Path, found: "Sequence[Prediction] | Sequence[Together]", out: Path | None, *, json: bool) -> None:
    if out is not None:
        _write(found, out)
    if is_stdout(out):
        return
    if json:
        from gocell_cli.training.inference.predict import Prediction

        kinds = [(one if isinstance(one, Prediction) else one.mean).kind for one in found]
        several = len(set(kinds)) > 1  # each then says of which it is
        told = [one.as_json() for one in found]
        predictions = [{"phenotype": kind, **one} for kind, one in zip(kinds, told, strict=True)] if several else told
        show_json({"run": str(run), "phenotype": kinds[0], "predictions": predictions})
        return
    for prediction in found:
        _print(prediction)


def _tell_singles(run: Path) -> None:
    """Warn where a model was trained on no single mutant: what it predicts of one, epsilon takes in."""
    from gocell_cli.training.data.splits.kept import trained_singles
    from gocell_cli.training.data.splits.kinds import KEPT

    if trained_singles(members(run)[0] / KEPT) == 0:
        told = "no single mutant is among the samples that trained it: fitness of a single, and so epsilon, is a guess"
        note(f"{told}; add rows of single mutants to the table", "warning")


def _write(found: "Sequence[Prediction] | Sequence[Together]", out: Path) -> None:
    """Write a row a number: of which genotype, which quantity, of which of its genes; sd over the runs of a series."""
    import pyarrow as pa

    from gocell_cli.training.inference.predict import Prediction

    rows = []
    for one in found:
        said, spread = (one, {}) if isinstance(one, Prediction) else (one.mean, one.sd)
        genotype = "+".join(said.genes)
        values = {said.kind: {genotype: said.value, **said.parts}, "epsilon": said.epsilon, "tau": said.tau}
        for quantity, numbers in values.items():
            of = spread.get(quantity, {})
            sds = of if isinstance(of, dict) else {genotype: of}
            rows += [
                {"genotype": genotype, "quantity": quantity, "of": part, "value": value, "sd": sds.get(part),
                 "never_deleted_in_training": " ".join(said.novel)}
                for part, value in numbers.items()
            ]  # fmt: skip
    write_table(pa.Table.from_pylist(rows), out)
    if not is_stdout(out):
        note(f"{out}: {len(rows):,} rows", "written")


def _predictions(
    run: Path, cache: Path | None, genes: list[str], model: str | None, phenotype: str | None
) -> "Sequence[Prediction] | Sequence[Together]":
    """Predict some genotypes; of several phenotypes each genotype by all of them, in their order, unless one is named.

    What is asked for is checked before torch is loaded.
    """
    first = Opening(run, cache, model, phenotype)
    others = () if phenotype is not None else first.kinds[1:]
    openings = [first, *(Opening(run, cache, model, kind) for kind in others)]
    for opening in openings:
        opening.named(genes)
    found = [opening.open() for opening in openings]
    from gocell_cli.training.inference.together import Ensemble

    each: list[Any] = []
    for predictors in found:
        one: Predictor | Ensemble = Ensemble(predictors) if is_series(run) else predictors[0]
        each.append(one.predictions([one.genotype(entry) for entry in genes]))
    return [prediction for of_one in zip(*each, strict=True) for prediction in of_one]


def _print(found: "Prediction | Together") -> None:
    from gocell_cli.training.inference.predict import Prediction

    prediction, spread, runs = (found, {}, "") if isinstance(found, Prediction) else (found.mean, found.sd, "")
    if not isinstance(found, Prediction):
        runs = f" (sd {spread[prediction.kind]:.4f} over {len(found.runs)} runs)"
    show(f"{'+'.join(prediction.genes) or 'wild type'}: {prediction.kind} {prediction.value:.4f}{runs}")
    for part, value in prediction.parts.items():
        show(f"  fitness of {part}: {value:.4f}")
    for name, values in (("epsilon", prediction.epsilon), ("tau", prediction.tau)):
        for part, value in values.items():
            beside = "" if not spread else f" (sd {spread[name][part]:.4f})"
            show(f"  {name} of {part}: {value:+.4f}{beside}")
    _tell_wild_type(prediction)
    if prediction.novel:
        note(f"never deleted in training: {', '.join(prediction.novel)}", "warning")


def _tell_wild_type(prediction: "Prediction") -> None:
    """Warn where the network's wild type is not 1, and say what each epsilon is against its own."""
    from gocell_cli.training.inference.predict import WILD_TYPE, relative_epsilon

    wild = prediction.parts.get(WILD_TYPE, 1.0)
    if not prediction.epsilon or abs(wild - 1) <= OFF:
        return
    own = ", ".join(f"{pair} {value:+.4f}" for pair, value in relative_epsilon(prediction).items())
    told = f"the wild type is predicted {wild:.2f}, not 1, and every epsilon takes that in"
    note(f"{told}: single mutants and a wild type in training would tell it", "warning")
    if own:
        note(f"epsilon against the model's own wild type: {own}", "predict")
