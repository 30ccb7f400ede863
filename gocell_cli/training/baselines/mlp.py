"""A plain multilayer perceptron on gene vectors: scikit-learn's MLPRegressor, one hidden layer, no hierarchy to run.

Its inputs are `features.described`: sums and products of the genes' vectors. Epochs are chosen on the validation
samples.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.features import described, require_samples
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    Others,
    Settings,
    best_of,
)
from gocell_cli.training.extra import train_extra

with train_extra():
    from threadpoolctl import threadpool_limits

HIDDEN, BATCH, EPOCHS, EVERY = 64, 256, 24, 4


@dataclass(frozen=True)
class Perceptron:
    """A fitted network; inputs and labels are standardised over the training samples."""

    known: Known
    model: Any
    scale: tuple[Float64[np.ndarray, " numbers"], Float64[np.ndarray, " numbers"]]
    label: tuple[float, float]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        if not len(genotypes):
            return np.zeros(0)
        x = (described(self.known, genotypes) - self.scale[0]) / self.scale[1]
        found: np.ndarray = self.label[0] + self.label[1] * self.model.predict(x)
        return found


def mlp(known: Known, others: Others) -> Fitted:
    """Fit `mlp`; raises NotApplicable where there are too few samples."""
    del others
    require_samples(known, "a network")
    with train_extra():
        from sklearn.neural_network import MLPRegressor

    x, y = described(known, known.train.genotypes), known.train.value
    sd = x.std(axis=0)
    scale = x.mean(axis=0), np.where(sd > 1e-9, sd, 1.0)
    label = float(y.mean()), float(y.std()) or 1.0
    x, y = (x - scale[0]) / scale[1], (y - label[0]) / label[1]
    model = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,), batch_size=min(BATCH, len(y)), alpha=1e-3, random_state=known.seed
    )
    best: list[Perceptron] = []
    with threadpool_limits(1):
        for epoch in range(1, EPOCHS + 1):
            model.partial_fit(x, y)
            if epoch % EVERY == 0:
                tried = Perceptron(known, deepcopy(model), scale, label, {"epochs": float(epoch)})
                best = [best_of([*best, tried], known.validation)]
    return best[0]
