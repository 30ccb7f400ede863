"""How much of the teacher's own activity of a term can be told from the network's, where the data are simulated.

The teacher's neurons of a term are regressed (ridge, as for power) on the network's neurons of the same term, fitted on
some samples and judged on others. Recovered is the share of their variance, all neurons together,

    R2 = 1 - sum |teacher - predicted|^2 / sum |teacher - mean|^2        1: all of it, 0: no more than its mean

the R2 of linear regression between two representations (Kornblith et al. 2019, arXiv:1905.00414, section 4), here of
samples that nothing was fitted on, as a linear probe's (Alain and Bengio 2016, arXiv:1610.01644). A term's activity is
a function of its deleted genes, so any features that tell its genes apart recover some: the same is asked of the genes'
0-or-1 indicators, which need no network, and of a network that learnt nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.terms.power import VariantRows
from gocell_cli.training.evaluation.terms.teacher_activity import TeacherActivity
from gocell_cli.training.evaluation.terms.variants import TermVariants
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix

LEAST_VARIANCE = 1e-12
"""Of the teacher's neurons over samples, in units of that over the population: what is less is rounding."""


@dataclass(frozen=True)
class TermRecovery:
    """R2 of the teacher's activity: from the network's, from indicators of the genes, from an untrained network's."""

    recovered: float
    from_genes: float
    from_untrained: float


@dataclass(frozen=True)
class Recovery:
    """Of every term its recovery, None where the teacher's activity is the same in all samples of a part.

    Medians are over the `compared` others, None without any; above_genes, above_untrained: of how many of these the
    network tells more than the indicators, and than an untrained network. reason: why the teacher cannot be asked.
    """

    terms: Sequence[TermRecovery | None] = ()
    compared: int = 0
    recovered: float | None = None
    from_genes: float | None = None
    from_untrained: float | None = None
    above_genes: int = 0
    above_untrained: int = 0
    reason: str | None = None

    @classmethod
    def of(cls, terms: Sequence[TermRecovery | None]) -> "Recovery":
        """Sum up the terms'."""
        known = [one for one in terms if one is not None]
        if not known:
            return cls(terms)
        table = np.array([(one.recovered, one.from_genes, one.from_untrained) for one in known])
        median = np.median(table, axis=0).tolist()
        above = (table[:, :1] > table[:, 1:]).sum(axis=0).tolist()
        return cls(terms, len(known), *median, *above)


@dataclass(frozen=True)
class Asked:
    """The hierarchy that the teacher has, samples as it sees them, the first `fitted` to fit on, and what it does."""

    hierarchy: Hierarchy
    variants: TermVariants
    deleted: csr_matrix
    fitted: int
    teacher: TeacherActivity


@dataclass(frozen=True)
class Student:
    """A network's activations of the samples: `h[neurons[t]]` are term t's, a function of the term's variants."""

    h: Float[np.ndarray, "neurons samples"]
    neurons: Sequence[slice]
    variants: TermVariants

    def recovered(self, asked: Asked, term: int, wanted: Float64[np.ndarray, "samples width"]) -> float:
        """The share of the teacher's activity of a term that is recovered from the network's."""
        rows = VariantRows.of(self.variants.of_term(term), asked.fitted)
        return share(rows, self.h[self.neurons[term]][:, rows.first].T, wanted)


def recovery(asked: Asked, trained: Student, untrained: Student) -> Recovery:
    """Ask of every term how much is recovered; networks may lie over a control, the same terms with other genes."""
    ptr, terms = asked.hierarchy.closure
    inside = csr_matrix((np.ones(len(terms)), terms, ptr), (len(ptr) - 1, len(asked.hierarchy.term_ids))).tocsc()
    found: list[TermRecovery | None] = []
    for term in range(len(asked.hierarchy.term_ids)):
        wanted = asked.teacher.of_term(term)
        if min(_varies(wanted[: asked.fitted]), _varies(wanted[asked.fitted :])) <= LEAST_VARIANCE:
            found.append(None)
            continue
        rows = VariantRows.of(asked.variants.of_term(term), asked.fitted)
        members = inside.indices[inside.indptr[term] : inside.indptr[term + 1]]
        indicators = asked.deleted[rows.first][:, members].toarray()
        found.append(
            TermRecovery(
                trained.recovered(asked, term, wanted),
                share(rows, indicators, wanted),
                untrained.recovered(asked, term, wanted),
            )
        )
    return Recovery.of(found)


def _varies(values: Float64[np.ndarray, "some width"]) -> float:
    return float(values.var(axis=0).sum()) if len(values) else 0.0


def share(
    rows: VariantRows, x: Float[np.ndarray, "variants features"], y: Float64[np.ndarray, "samples width"]
) -> float:
    """R2 of y over the judged samples, predicted by a ridge on x that the fitted ones fit; see the module."""
    fitted, judged = y[: rows.fitted], y[rows.fitted :]
    left = judged - fitted.mean(axis=0)
    predicted = rows.predictions(x, fitted)
    if predicted is not None:
        left = left - predicted
    return float(1 - np.square(left).sum() / np.square(judged - judged.mean(axis=0)).sum())
