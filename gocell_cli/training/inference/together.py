"""Several runs as one model: the mean of what they predict, and how far they are apart.

Runs that differ in their seed alone differ by chance; the mean of their predictions errs less than one of them does on
average, by their variance (Krogh and Vedelsby 1995, "Neural network ensembles, cross validation, and active learning").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from gocell_cli.errors import UsageError
from gocell_cli.training.inference.predict import Genotype, Prediction, Predictor


@dataclass(frozen=True)
class Together:
    """One genotype's phenotype by several runs: the mean, and the standard deviation over them (n - 1).

    `mean` is what they say together; `sd` has the phenotype under its name, and epsilon and tau by the genes' names.
    `runs` are the phenotypes, in the order of the runs. `novel` of `mean` are genes that some run never saw deleted.
    """

    mean: Prediction
    sd: dict[str, Any]
    runs: list[float]

    def as_json(self) -> dict[str, Any]:
        """What the mean says, with the spread beside it."""
        sd = {"value": self.sd[self.mean.kind], **{k: x for k, x in self.sd.items() if k != self.mean.kind}}
        return {**self.mean.as_json(), "sd": sd, "by_run": self.runs}


@dataclass(frozen=True)
class Ensemble:
    """Runs of one hierarchy and phenotype; raises UsageError where they are not, or are fewer than two."""

    predictors: tuple[Predictor, ...]

    def __post_init__(self) -> None:
        if len(self.predictors) < 2:
            raise UsageError(f"{len(self.predictors)} finished runs are no ensemble", hint="name the run itself")
        first = self.predictors[0]
        for other in self.predictors[1:]:
            if other.kind != first.kind or other.hierarchy.gene_names != first.hierarchy.gene_names:
                raise UsageError("the runs are of different phenotypes or genes", hint="name one of them")

    def genotype(self, names: str) -> Genotype:
        """Return the genes of names, as `Predictor.genotype` does."""
        return self.predictors[0].genotype(names)

    def predictions(self, genotypes: Sequence[Genotype]) -> list[Together]:
        """Predict genotypes, and the interactions of those that have any, by all runs."""
        each = [predictor.predictions(genotypes) for predictor in self.predictors]
        return [_together(of_one) for of_one in zip(*each, strict=True)]


def _together(each: Sequence[Prediction]) -> Together:
    first, values = each[0], [one.value for one in each]
    mean = Prediction(
        first.genes,
        first.kind,
        fmean(values),
        tuple(gene for gene in first.genes if any(gene in one.novel for one in each)),
        *(_over(fmean, [getattr(one, name) for one in each]) for name in ("parts", "epsilon", "tau")),
    )
    spread = {name: _over(stdev, [getattr(one, name) for one in each]) for name in ("epsilon", "tau")}
    return Together(mean, {first.kind: stdev(values), **{name: x for name, x in spread.items() if x}}, values)


def _over(of: Any, each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: of([one[name] for one in each]) for name in each[0]}
