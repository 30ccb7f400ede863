"""What `gocell predict` predicts with, opened: one run, or all finished runs of a series that lie over the ontology."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.commands.model.refusals import before_opening, named_genes, tell_compiling
from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import UsageError
from gocell_cli.series_record import finished_runs, is_series

if TYPE_CHECKING:
    from gocell_cli.storage.schema import Hierarchy
    from gocell_cli.training.inference.predict import Predictor


def members(run: Path) -> list[Path]:
    """Return the run itself, or the runs of a series that predict together; raises UsageError where none is ended."""
    from gocell_cli.training.runs.config import run_config

    if not is_series(run):
        return [run]
    runs = [one for one in finished_runs(run) if not run_config(one).control]
    if not runs:
        raise UsageError(f"{run}: no run of this series is finished", hint=f"gocell train --resume --out {run}")
    return runs


class Opening:
    """Runs whose records are read, and not yet their weights: what is asked for is checked before torch is loaded."""

    hierarchy: "Hierarchy | None" = None

    def __init__(self, run: Path, cache: Path | None, model: str | None, phenotype: str | None = None) -> None:
        from gocell_cli.training.voices.names import chosen_voice

        self.cache, self.runs = cache, members(run)
        whole = [before_opening(one, cache, samples=False) for one in self.runs]
        self.kinds, self.phenotype = whole[0].kinds, phenotype or whole[0].kind
        self.records = records = [record.of_phenotype(self.phenotype) for record in whole]
        self.voices = [chosen_voice(model, record.heard, record.missing) for record in records]

    def named(self, entries: Sequence[str]) -> list[tuple[int, ...]] | None:
        """Read the hierarchy that the run keeps, and return the genes of entries, as `named_genes` does."""
        self.hierarchy, genes = named_genes(self.runs[0], self.records[0], entries)
        return genes

    def open(self) -> "tuple[Predictor, ...]":
        """Open the runs; loads torch."""
        from gocell_cli.training.runs.run import open_predictor

        tell_compiling()
        kept: list[Hierarchy | None] = [self.hierarchy, *[None] * (len(self.runs) - 1)]
        each = zip(self.runs, self.voices, kept, strict=True)
        return tuple(
            open_predictor(one, self.cache, hierarchy, voice, self.phenotype) for one, voice, hierarchy in each
        )

    def tell(self) -> None:
        """Say on stderr which of several phenotypes is predicted."""
        others = ", ".join(f"--phenotype {kind}" for kind in self.kinds if kind != self.phenotype)
        if others:
            note(f"it predicts {self.phenotype}; another: {others}", "phenotype")
