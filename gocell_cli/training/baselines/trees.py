"""Gradient-boosted trees on genes and terms: scikit-learn's HistGradientBoostingRegressor on `features.py`.

(Friedman 2001, doi:10.1214/aos/1013203451; histograms as in LightGBM.) Leaves of a tree and number of trees are chosen
on the validation samples.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.features import (
    beside,
    described,
    held_out,
    likeness,
    other_fits,
    require_samples,
)
from gocell_cli.training.baselines.samples import Fitted, Genotypes, Known, Others, Settings
from gocell_cli.training.extra import train_extra

with train_extra():
    from threadpoolctl import threadpool_limits

LEAVES = (7, 31)
TREES, EVERY = 200, 20
RATE = 0.1


@dataclass(frozen=True)
class Trees:
    """Fitted trees, of which the first `settings["trees"]` count."""

    known: Known
    fits: dict[str, Fitted]
    model: Any
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        if not len(genotypes):
            return np.zeros(0)
        x = beside(self.fits, genotypes, (described(self.known, genotypes), likeness(self.known, genotypes)))
        staged = self.model.staged_predict(x)
        found: np.ndarray = next(islice(staged, int(self.settings["trees"]) - 1, None))
        return found


def boosted_trees(known: Known, others: Others) -> Fitted:
    """Fit `boosted_trees`; raises NotApplicable where there are too few samples to cut in two."""
    require_samples(known, "trees")
    # a second, which only who wants trees need wait
    with train_extra():
        from sklearn.ensemble import HistGradientBoostingRegressor

    fits = other_fits(others)
    train = known.train.genotypes
    x = np.column_stack([held_out(known, list(fits)), described(known, train), likeness(known, train)])
    best: tuple[float, Trees] | None = None
    # limited again: scikit-learn brings an OpenMP of its own, whose sums depend on the number of threads
    with threadpool_limits(1):
        for leaves in LEAVES:
            model = HistGradientBoostingRegressor(
                max_iter=TREES, max_leaf_nodes=leaves, learning_rate=RATE, early_stopping=False, random_state=known.seed
            ).fit(x, known.train.value)
            error, trees = _best_number(model, fits, known)
            if best is None or error < best[0]:
                best = error, Trees(known, fits, model, {"leaves": float(leaves), "trees": float(trees)})
    assert best is not None  # noqa: S101 there are two to choose from
    return best[1]


def _best_number(model: Any, fits: dict[str, Fitted], known: Known) -> tuple[float, int]:
    """Return the least validation error and the number of trees that has it; all trees where nobody judges."""
    if not len(known.validation):
        return 0.0, TREES
    asked = known.validation.genotypes
    x = beside(fits, asked, (described(known, asked), likeness(known, asked)))
    errors = {
        number: float(np.square(found - known.validation.value).mean())
        for number, found in enumerate(model.staged_predict(x), 1)
        if number % EVERY == 0
    }
    best = min(errors, key=errors.__getitem__)
    return errors[best], best
