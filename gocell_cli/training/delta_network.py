"""What a run over the levels in the delta form reads, and the gradients that it gives."""

from dataclasses import dataclass

from jaxtyping import Float, Int64

from gocell_cli.training.extra import train_extra

with train_extra():
    from torch import Tensor


@dataclass(frozen=True)
class DeltaNetwork:
    """Detached parameters as flat tables of neurons, statistics (written in training) and settings.

    weights: chunks in the plan's order, so that each matmul's are [edges, out, inp]; genes: the table [pieces, piece];
    wild: bias plus all genes of each neuron.
    """

    piece: int
    weights: Float[Tensor, "chunks piece"]
    wild: Float[Tensor, " neurons"]
    genes: Float[Tensor, "pieces piece"]
    direction: Float[Tensor, " neurons"] | None
    gamma: Float[Tensor, " neurons"]
    beta: Float[Tensor, " neurons"]
    head: Float[Tensor, " neurons"]
    running_mean: Float[Tensor, " neurons"]
    running_var: Float[Tensor, " neurons"]
    tanh_first: bool
    eps: float
    momentum: float
    training: bool


@dataclass(frozen=True)
class PlanTensors:
    """The arrays of a plan on the network's device; row weights in its dtype, `varies` [terms] where rows differ.

    bag: a row's first read; slot_reader, slot_bag: the reads by slot, and a slot's first; user, user_bag: which inputs
    read a block, and a block's first. pieces: of each run, the gene pieces [entries, width] that its rows lose.
    """

    input: Int64[Tensor, " inputs"]
    slot: Int64[Tensor, " reads"]
    bag: Int64[Tensor, " rows"]
    slot_reader: Int64[Tensor, " reads"]
    slot_bag: Int64[Tensor, " slots"]
    user: Int64[Tensor, " users"]
    user_bag: Int64[Tensor, " blocks_plus_1"]
    term: Int64[Tensor, " rows"]
    start: Int64[Tensor, " terms"]
    weight: Float[Tensor, " rows"]
    varies: Float[Tensor, " terms"]
    entry_row: Int64[Tensor, " entries"]
    pieces: tuple[Int64[Tensor, "_ _"], ...]


@dataclass(frozen=True)
class Gradients:
    """What a pass down the levels gives, in the shapes of DeltaNetwork; `wild` is dz of row 0, summed over samples."""

    weights: Tensor
    wild: Tensor
    genes: Tensor
    direction: Tensor | None
    gamma: Tensor
    beta: Tensor
    head: Tensor
