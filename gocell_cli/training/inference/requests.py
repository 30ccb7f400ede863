"""What cannot be predicted or explained, whoever asks: told before torch is loaded, or by what would have done it."""

from gocell_cli.errors import UsageError


def no_gene() -> UsageError:
    """The error of a genotype without a gene, of which there is nothing to explain."""
    return UsageError("--genes names no gene", hint="--genes YKL191W,YLR172C")


def require_pairs(genes: int) -> None:
    """Raise UsageError where so few genes make no pair."""
    if genes < 2:
        raise UsageError(f"{genes} genes make no pair", hint="leave out --genes for all of them")
