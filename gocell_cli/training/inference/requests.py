"""What cannot be predicted or explained, whoever asks: told before torch is loaded, or by what would have done it."""

from collections.abc import Sequence

from gocell_cli.errors import UsageError, did_you_mean
from gocell_cli.training.data.own_label import FITNESS

EPSILON, TAU = "epsilon", "tau"
INTERACTIONS = {2: EPSILON, 3: TAU}
"""What a fitness model says of genotypes of an order, beside their fitness."""
NOUNS = {2: "pairs", 3: "triples"}
"""What genotypes of an order are called where they are counted."""


def no_gene() -> UsageError:
    """The error of a genotype without a gene, of which there is nothing to explain."""
    return UsageError("--genes names no gene", hint="--genes YKL191W,YLR172C")


def require_combined(genes: int, order: int) -> None:
    """Raise UsageError where so few genes make no genotype of an order."""
    if genes < order:
        what = NOUNS[order].removesuffix("s")
        raise UsageError(f"{genes} genes make no {what}", hint="name more genes; or leave out --genes for all of them")


def require_ranking(by: str, kind: str, order: int | None = None) -> None:
    """Raise UsageError where a model of phenotype `kind`, or genotypes of `order`, have no such number."""
    if by not in (EPSILON, TAU):
        return
    if kind != FITNESS:
        raise UsageError(f"--rank-by {by}: only a model of fitness has it, and this is one of {kind}")
    if order is not None and INTERACTIONS[order] != by:
        hint = f"--rank-by {INTERACTIONS[order]}"
        raise UsageError(f"--rank-by {by}: {NOUNS[order]} have none", hint=hint)


def terms_named(ids: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Return the terms called so, each once; raises UsageError for one that a hierarchy of these ids has not."""
    index = {name: term for term, name in enumerate(ids)}
    for name in names:
        if name not in index:
            hint = did_you_mean(name, ids, otherwise="gocell inspect term NAME")
            raise UsageError(f"no term {name!r} in this run's hierarchy", hint=hint)
    return tuple(dict.fromkeys(index[name] for name in names))
