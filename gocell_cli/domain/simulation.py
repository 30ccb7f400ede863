"""Simulated phenotypes: genotypes drawn over a hierarchy, growth by a teacher network, noise of a known share.

    value = sqrt(1 - epistasis) additive + sqrt(epistasis) residual + noise

additive is the least-squares sum of one effect a gene to the teacher's output over the whole population, residual what
that leaves, each scaled to variance 1. So no additive model explains more than 1 - epistasis of the noiseless variance,
and no model correlates with the values better than sqrt(1 - noise). Both shares are measured on what was drawn.
"""

from dataclasses import asdict, dataclass
from math import comb

import numpy as np
from jaxtyping import Int32

from gocell_cli.controls import Wiring
from gocell_cli.domain.genotype import Dataset, Measurements, Phenotype
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.errors import UsageError
from gocell_cli.teacher import additive_part, growth_states, signal_of

SIMULATED = "simulated"
DECIMALS = 6
"""Values are rounded, so that another machine's tanh gives the same cache."""


@dataclass(frozen=True)
class Simulation:
    """What is drawn: `samples` distinct genotypes of `deletions` genes each, out of a panel of `panel` genes.

    epistasis: share of the noiseless variance that no additive model explains; noise: share of the whole variance.
    """

    samples: int = 100_000
    deletions: int = 3
    seed: int = 0
    epistasis: float = 0.5
    noise: float = 0.1
    panel: int = 1400

    @property
    def name(self) -> str:
        """The data set's name."""
        return SIMULATED

    def check(self) -> None:
        """Raise UsageError for shares and numbers that can't be met."""
        if min(self.samples, self.deletions, self.panel) < 1 or self.seed < 0:
            raise UsageError("--samples, --deletions and --panel must be at least 1, --seed at least 0")
        if not 0 <= self.epistasis <= 1 or not 0 <= self.noise < 1:
            said = "--epistasis must be within 0 and 1, --noise at least 0 and below 1"
            raise UsageError(said, hint="--epistasis 0.5 --noise 0.1")
        if self.epistasis and self.deletions < 2:
            raise UsageError("single deletions have no epistasis", hint="--epistasis 0, or --deletions 2")
        # distinct genotypes are found by drawing and rejecting: near the last few of all that would hardly ever end
        if self.samples > comb(self.panel, self.deletions) // 2:
            raise UsageError(
                f"a panel of {self.panel} genes is too small for {self.samples} distinct genotypes of {self.deletions}",
                why="at most half of all are drawn",
                hint="a larger --panel, or fewer --samples",
            )
        if self.samples < 2 * self.panel:
            raise UsageError(
                f"{self.samples} samples do not determine the additive effects of {self.panel} genes",
                hint=f"--samples {2 * self.panel}, or a smaller --panel",
            )

    def draw(self, hierarchy: TermHierarchy) -> Dataset:
        """Draw genotypes over genes with annotations in the hierarchy, and their values.

        Raises UsageError where the hierarchy holds too few genes, or the teacher's output is constant.
        """
        self.check()
        genotypes = self._genotypes(hierarchy)
        output = growth_states(_wiring(hierarchy), len(hierarchy), genotypes, self.seed)
        signal, natural = signal_of(output, genotypes, self.epistasis)
        # measured on what was made, not taken from what was asked for: the scaled parts are orthogonal but for rounding
        left = signal - additive_part(signal, genotypes)
        # a generator of its own, as the genotypes have: another share of noise changes neither them nor the signal
        noise = np.random.default_rng((self.seed, 2)).normal(size=self.samples)
        # the signal's variance is 1: this variance of noise is the share `noise` of the sum of both
        noise *= np.sqrt(self.noise / (1 - self.noise))
        value = np.round(signal + noise, DECIMALS)
        ceiling = float(np.corrcoef(signal, value)[0, 1])
        shares = {
            "epistasis": float(left.var() / signal.var()),
            "teacher_epistasis": natural,
            "noise": float(np.var(value - signal) / np.var(value)),
            "ceiling": ceiling,
        }
        # no strain and no query was crossed, and nothing has a P-value or an SD: -1 and NaN say so
        none = np.full(self.samples, -1, dtype=np.int32)
        return Dataset(
            name=SIMULATED,
            phenotype=Phenotype(SIMULATED),
            measurements=Measurements(
                genes=genotypes,
                value=value,
                statistic=np.full(self.samples, np.nan),
                # 1-based, as the lines of a file are
                row=np.arange(1, self.samples + 1, dtype=np.int64),
                query_strain=none,
                array_strain=none,
                query=none,
            ),
            strains=(),
            queries=(),
            rows_read=self.samples,
            dropped={},
            sources={},
            options={name: str(value) for name, value in asdict(self).items()},
            shares={name: round(share, DECIMALS) for name, share in shares.items()},
        )

    def _genotypes(self, hierarchy: TermHierarchy) -> Int32[np.ndarray, "samples deletions"]:
        rng = np.random.default_rng((self.seed, 1))
        annotated = np.unique(hierarchy.row_gene)
        if len(annotated) < self.panel:
            raise UsageError(f"the hierarchy holds {len(annotated)} genes", hint=f"--panel {len(annotated)}")
        # ascending, so that ascending places in the panel give ascending genes, as Measurements promises
        panel = np.sort(rng.choice(annotated, self.panel, replace=False)).astype(np.int32)
        found = np.empty((0, self.deletions), dtype=np.int64)
        while len(found) < self.samples:
            # sorted within each row: a genotype is a set, and A with B is B with A
            drawn = np.sort(rng.integers(0, self.panel, (self.samples, self.deletions)), axis=1)
            distinct = (np.diff(drawn, axis=1) > 0).all(axis=1)
            found = np.unique(np.concatenate([found, drawn[distinct]]), axis=0)
        # np.unique sorts: the first rows of `found` would all delete the panel's first genes
        kept = rng.choice(len(found), self.samples, replace=False)
        return panel[found[np.sort(kept)]]


def _wiring(hierarchy: TermHierarchy) -> Wiring:
    return Wiring(hierarchy.edges.child, hierarchy.edges.parent, hierarchy.row_term, hierarchy.row_gene)
