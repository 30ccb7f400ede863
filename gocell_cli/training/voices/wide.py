"""The wide part: a machine of single effects and products of gene vectors (`baselines/factorisation.py`)."""

from gocell_cli.training.baselines.factorisation import factorisation, machine_of
from gocell_cli.training.baselines.samples import Fitted, Known, Others


def wide(known: Known, others: Others) -> Fitted:
    """Fit it, its settings chosen on the validation samples."""
    return factorisation(known, others)


def refitted(fit: Fitted, known: Known) -> Fitted:
    """Fit it to other samples, its settings kept."""
    return machine_of(known, fit.settings)
