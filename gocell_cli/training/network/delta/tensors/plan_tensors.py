"""The arrays of a matmul plan as tensors on the network's device."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.index import DeltaIndex
from gocell_cli.training.network.delta.plan import DeltaPlan
from gocell_cli.training.network.delta.tensors.layout import MatmulPlan

with train_extra():
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class PlanTensors:
    """Row weights in the network's dtype, `varies` [terms] where rows differ.

    bag: a row's first read; slot_reader, slot_bag: the reads by slot, and a slot's first; user, user_bag: which inputs
    read a block, and a block's first. pieces: of each run, the gene pieces [entries, width] that its rows lose.
    """

    chunk: Int64[Tensor, " chunks"]
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


def plan_tensors(
    index: DeltaIndex, plan: DeltaPlan, matmuls: MatmulPlan, device: torch.device, dtype: torch.dtype
) -> PlanTensors:
    """Move a plan to a device."""

    def there(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device)

    piece, genes = index.row_piece[plan.lost], index.term_genes[plan.term[matmuls.entry_row]]
    pieces = [piece[r.entries, None] + genes[r.entries, None] * np.arange(r.width) for r in matmuls.runs]
    return PlanTensors(
        chunk=there(matmuls.chunk), input=there(matmuls.input), slot=there(matmuls.slot),
        slot_reader=there(matmuls.slot_reader), slot_bag=there(matmuls.slot_bag), user=there(matmuls.user),
        user_bag=there(matmuls.user_bag), bag=there(plan.read_ptr[:-1]), term=there(plan.term),
        start=there(plan.term_start[:-1]), weight=there(plan.weight).to(dtype), varies=there(plan.varies).to(dtype),
        entry_row=there(matmuls.entry_row), pieces=tuple(map(there, pieces)),
    )  # fmt: skip
