"""The wide part beside a network: single effects, and products of the deleted genes' vectors.

    y = single effects (`effects.py`) + sum of w_g + sum over pairs of deleted genes of <v_g, D v_h>
    w = own weight + T beta,  v = own vector + T Z,   T: the terms that contain a gene, by size

(a factorisation machine over the hierarchy, Rendle 2010, doi:10.1109/ICDM.2010.127; `baselines/factorisation.py` has
the formulas). Effects come first, by role, on a logarithm's or a logit's scale, with published fitness where these
serve; the machine is fitted to what they leave, so that of a fitness it says what is beyond the product of its genes'.
It is the mean of MACHINES machines that begin at other vectors, which is one machine of as many times the rank: by
0.01 to 0.02 better in r than one (Collins 2007), and a smaller penalty serves it. A gene that training never deletes
has its terms' vectors and none of its own. Numbers of genes that the user gave (`known.vectors`) are features beside
the terms. Penalty, steps, the weight of own vectors and whether these numbers are taken are chosen on the validation
samples, and whether there are vectors at all.

What a gene has in each term is an argument, T: the encoder's (`encoder.py`) is what the trained network makes of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.factorisation import RANK, Machine, Problem, descent, terms_by_size
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    Labelled,
    Others,
    Settings,
    best_of,
    predicted,
    require_room,
)
from gocell_cli.training.extra import train_extra
from gocell_cli.training.voices.effects import Effects, fit_effects, refitted_effects, vector_features

with train_extra():
    from scipy.sparse import csr_matrix, diags, hstack

MACHINES = 3
OWNS = (1.0, 0.5)
"""Weights of a gene's own indicator beside those of its terms, whose squares add up to 1."""
PENALTY, LARGER, SMALLER = 15.0, (45.0, 135.0), (5.0,)
"""Of the squared numbers of Z, in units of the variance of what effects leave; others as long as they are better."""
STEPS = 90
USUAL: Settings = {"rank": float(RANK), "own_vector": OWNS[0], "penalty": PENALTY, "steps": 60.0}
"""Where no validation sample has a label."""


@dataclass(frozen=True)
class Wide:
    """Fitted effects, and a machine where pairs say more than they do; settings of `rank` 0 where not.

    `term_vector` is Z, the part of a term in the vectors of its genes, for what terms say of each other; `settings` are
    those of the fit.
    """

    effects: Effects
    machine: Machine | None
    term_vector: Float64[np.ndarray, "terms rank"]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found = self.effects.predict(genotypes)
        return found if self.machine is None else found + self.machine.predict(genotypes)


def wide(known: Known, others: Others) -> Fitted:
    """Fit `wide`; there is always one: without pairs it is single effects alone."""
    del others
    return fitted_over(known, terms_by_size(known))


def fitted_over(known: Known, terms: csr_matrix) -> Wide:
    """Fit single effects and, where pairs say more, machines over what each gene has in each term [genes, terms]."""
    effects = known.once("wide effects", lambda: fit_effects(known))
    alone = Wide(effects, None, np.zeros((terms.shape[1], 0)), {**effects.settings, "rank": 0.0})
    left = Left.of(known, effects, terms)
    if not len(left.problem.pair):
        return alone
    if not len(known.validation):
        return left.fit(alone, {**alone.settings, **USUAL})
    return best_of([alone, _best(known, alone, left)], known.validation)


def _best(known: Known, alone: Wide, left: "Left") -> Wide:
    """The machines of the best penalty; the weight of own vectors, and told numbers, are chosen by one machine each."""

    def at(way: Settings, penalty: float, machines: int) -> Wide:
        return best_of(list(left.tries(alone, {**way, "penalty": penalty}, machines)), known.validation)

    told = (0.0, 1.0) if known.vectors is not None else (0.0,)
    ways = [{"own_vector": own, "told_vector": one} for own, one in product(OWNS, told)]
    usual = best_of([at(way, PENALTY, 1) for way in ways], known.validation).settings
    best = at(usual, PENALTY, MACHINES)
    for way in (LARGER, SMALLER):
        for penalty in way:
            tried = at(usual, penalty, MACHINES)
            if best_of([best, tried], known.validation) is best:
                break
            best = tried
        if best.settings["penalty"] != PENALTY:
            break
    return best


def refitted(fit: Fitted, known: Known) -> Fitted:
    """Fit again, to what is known now, with the settings of `fit`; raises TypeError for another voice's."""
    return refitted_over(fit, known, terms_by_size(known))


def refitted_over(fit: Fitted, known: Known, terms: csr_matrix) -> Wide:
    """Fit again as `fitted_over` did; raises TypeError for another voice's."""
    if not isinstance(fit, Wide):
        raise TypeError(f"{type(fit).__name__} is no fit of this voice")
    # fits of one search have the same effects (`fitted_over`), which are then fitted again once
    chosen = sorted(fit.effects.settings.items())
    effects = known.once(f"wide effects {chosen}", lambda: refitted_effects(fit.effects, known))
    alone = replace(fit, effects=effects, machine=None)
    return alone if fit.machine is None else Left.of(known, effects, terms).fit(alone, fit.settings)


@dataclass(frozen=True)
class Left:
    """What effects leave of the training samples, its mean, what genes have in terms, told numbers of them, first seed.

    Rows of `terms` [genes, terms] have length 1 or 0.
    """

    problem: Problem
    mean: float
    terms: csr_matrix
    told: csr_matrix
    seed: int

    @classmethod
    def of(cls, known: Known, effects: Effects, terms: csr_matrix) -> "Left":
        """Set up what machines are fitted to; raises NotApplicable where they have no room."""
        train = known.train
        left = train.value - predicted(effects, train.genotypes)
        problem = Problem.of(Labelled(train.genotypes, left))
        told = vector_features(known)
        numbers = 8.0 * (RANK + 1) * (sum(terms.shape) + told.shape[1]) * (8 + 2 * MACHINES)
        require_room(numbers + 8.0 * 3 * len(problem.used) ** 2 * problem.dense, "machines of genes and terms")
        return cls(problem, float(left.mean()), terms, told, known.seed)

    def fit(self, alone: Wide, said: Settings) -> Wide:
        """The machines with these settings."""
        *_, last = self.tries(alone, said, MACHINES, int(said["steps"]))
        return last

    def tries(self, alone: Wide, way: Settings, machines: int, steps: int = STEPS) -> Iterator[Wide]:
        """The mean of machines every few steps on their way."""
        rank, (genes, terms) = RANK, self.terms.shape
        own, told, penalty = way["own_vector"], way.get("told_vector", 0.0), way["penalty"]
        blocks = [own * diags(np.ones(genes)), self.terms, *([self.told] if told else [])]
        features = hstack(blocks, format="csr")
        # MACHINES of them, one a seed, side by side
        ways = [descent(self.problem, features, rank, penalty, self.seed + i, steps) for i in range(machines)]
        for at in zip(*ways, strict=True):
            step, signs = at[0][0], np.concatenate([one[2] for one in at])
            z = np.concatenate([one[1][:, 1:] for one in at], axis=1) * (self.problem.unit / machines) ** 0.5
            beta = self.problem.unit * np.mean([one[1][:, 0] for one in at], axis=0)
            machine = Machine(self.mean, features @ beta, features @ z, signs, {})
            said = {"rank": float(rank), "own_vector": own, "penalty": penalty, "steps": float(step)}
            said |= {"told_vector": told} if self.told.shape[1] else {}
            said = {**alone.settings, **said, "machines": float(machines)}
            yield replace(alone, machine=machine, term_vector=z[genes : genes + terms], settings=said)
