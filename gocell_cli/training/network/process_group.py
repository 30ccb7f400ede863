"""The processes that train one network together, each on its share of a batch, as the network sees them."""

from typing import Protocol, runtime_checkable

from jaxtyping import Shaped

from gocell_cli.training.extra import train_extra

with train_extra():
    from torch import Tensor


@runtime_checkable
class ProcessGroup(Protocol):
    """What a pass asks of the others. All processes must ask for the same, in the same order; each waits for all."""

    def reduce(self, tensor: Tensor, kind: str) -> None:
        """Join a tensor over all processes in place: its `sum`, `min` or `max`."""

    def gather(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "processes ..."]:
        """Return the tensors of all processes, of one shape and dtype, in the order of their ranks."""
        ...
