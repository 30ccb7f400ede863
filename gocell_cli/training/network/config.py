"""Everything that shapes a network but its hierarchy: checked where no torch is loaded yet."""

from dataclasses import dataclass

from gocell_cli.errors import UsageError

CHOICES = {
    "norm_order": ("tanh-bn", "bn-tanh"),
    "gene_weights": ("own", "shared", "deviation", "direction"),
    "width_by": ("direct", "contained"),
    "form": ("dense", "delta", "auto"),
}


@dataclass(frozen=True)
class DCellConfig:
    """Everything that shapes the network but the hierarchy.

    The defaults are the network of Ma et al. 2018 (`--recipe ma2018`), for who builds one by hand; a run's, of 6
    neurons and columns that are deviations, are RunConfig's, which hands its settings on (`RunConfig.network`).

    width_by: n_t of the width is the term's `direct` or `contained` genes; d_t = max(min_width, ceil(ratio * n_t)).
    phenotypes: of which every term has a head each, [phenotypes, terms] in all; the terms below are of all of them.
    top_width: the least width of terms of the first top_strata strata, the root's the first (0: as all others).
    products: of children's deviations in each term (`products.py`). learnt_vectors: so many numbers of each gene are
    learnt, and heard by all its terms (`vector_columns.py`); they need columns that count from the wild type.
    init_range: weights and biases are drawn from U(-init_range, init_range). alpha: weight of the other terms' losses.
    gene_weights: every (term, gene) pair its `own` column; or besides it one `shared` direction a term for all its
    genes: z_t += a_t * (number of t's genes deleted); or such a direction, from which a column is a `deviation`: it
    starts at 0, counts a gene from the wild type (x_g - 1), and so stays exactly 0 where no training sample deletes its
    gene; or the `direction` alone, all columns held at 0. eps, momentum: BatchNorm's.
    term_dropout: with this probability a training step leaves a term's output out of its parents' input, for all of its
    samples (`term_dropout.py`).
    form: `dense` runs all terms of all samples, `delta` only what a deletion touches, each distinct variant of a term
    once, `auto` the faster of both for each batch; the numbers are equal.
    """

    width_by: str = "direct"
    min_width: int = 20
    ratio: float = 0.3
    norm_order: str = "tanh-bn"
    init_range: float = 0.001
    alpha: float = 0.3
    gene_weights: str = "own"
    eps: float = 1e-5
    momentum: float = 0.1
    form: str = "dense"
    term_dropout: float = 0.0
    top_width: int = 0
    top_strata: int = 3
    products: int = 0
    learnt_vectors: int = 0
    phenotypes: int = 1

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}", hint=f"one of: {', '.join(allowed)}")
        if self.min_width < 1 or self.ratio < 0 or self.eps <= 0:
            raise UsageError("min_width must be at least 1, ratio at least 0 and eps above 0")
        if self.phenotypes < 1:
            raise UsageError(f"phenotypes is {self.phenotypes}", hint="at least 1")
        if self.products < 0:
            raise UsageError(f"products is {self.products}", hint="at least 0")
        if self.learnt_vectors < 0:
            raise UsageError(f"learnt_vectors is {self.learnt_vectors}", hint="at least 0")
        if self.learnt_vectors and not self.from_wild_type:
            hint = "gene_weights=deviation, or direction: no columns of their own"
            raise UsageError("learnt_vectors need columns that count from the wild type", hint=hint)
        if self.top_width < 0 or self.top_strata < 1:
            raise UsageError("top_width must be at least 0, and top_strata at least 1")
        if not 0 <= self.term_dropout < 1:
            raise UsageError(f"term_dropout is {self.term_dropout}", hint="a probability: at least 0 and below 1")

    @property
    def from_wild_type(self) -> bool:
        """Whether a gene's column counts from the wild type, x_g - 1, so that it is in no wild type's z."""
        return self.gene_weights in ("deviation", "direction")
