"""AdamW over all processes: the gradients summed, clipped where asked, and one step of the weights.

Processes that share memory share the weights and AdamW's moments as well, and each steps its own part of them: of 6.9 M
parameters two processes took 38 ms a step of 2,048 samples when each summed all gradients (gloo) and stepped all
weights, and take 18 so, in half the memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from inspect import unwrap
from typing import Any

from jaxtyping import Float

from gocell_cli.training.extra import train_extra
from gocell_cli.training.runs.one_machine import OneMachine, shared_table
from gocell_cli.training.runs.processes import Processes

with train_extra():
    import torch
    from torch import Tensor, nn
    from torch.autograd.graph import increment_version

MOMENTS = ("exp_avg", "exp_avg_sq")


_step = unwrap(torch.optim.AdamW.step)


class PlainAdamW(torch.optim.AdamW):
    """torch.optim.AdamW, its methods without what PyTorch wraps them in for its compiler, torch._dynamo.

    That is 2 s to load, which a first step would wait for. Nothing else is in those wrappers but no_grad.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Step by the gradients at hand."""
        del closure
        with torch.no_grad():
            _step(self)


@dataclass(frozen=True)
class OwnDecay:
    """Decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101) of one parameter beside all others' weight decay.

    Each step takes lr * rate of it away, before AdamW's own: w <- (1 - lr * rate) w. What is 0 stays exactly 0.
    """

    parameter: nn.Parameter
    rate: float


class JoinedAdamW(PlainAdamW):
    """AdamW whose processes each hold all weights: the gradients are summed, and all do the same step."""

    def __init__(
        self,
        processes: Processes,
        parameters: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        decay: OwnDecay | None = None,
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, fused=True)
        self.processes, self.decay = processes, decay

    @property
    def weights(self) -> list[nn.Parameter]:
        """All parameters, in the order of the state."""
        return list(self.param_groups[0]["params"])

    def joined_step(self, clip: float) -> Float[Tensor, ""]:
        """Step by the sum of all processes' gradients, its norm at most `clip` (0: any); return that norm (or 0)."""
        self.processes.sum_gradients(self.weights)
        norm = self.weights[0].new_zeros(())
        if clip:
            norm = torch.nn.utils.clip_grad_norm_(self.weights, clip)
        self.step()
        return norm

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Step by the gradients at hand, what decays on its own shrunk before."""
        del closure
        if self.decay is not None and self.decay.parameter.grad is not None:
            self._shrink(self.decay, self.decay.parameter)
        super().step()

    def _shrink(self, decay: OwnDecay, part: Tensor) -> None:
        with torch.no_grad():
            part.mul_(1 - self.param_groups[0]["lr"] * decay.rate)


class SharedAdamW(JoinedAdamW):
    """AdamW of processes on one machine: weights and moments lie in shared memory, each process steps its part.

    Part r of n of a parameter are its numbers from r/n to (r + 1)/n of it. The state is the whole one, as
    torch.optim.AdamW's. tables [4 + world, numbers]: weights, both moments, the sum of all gradients, each's own.
    """

    def __init__(
        self,
        machine: OneMachine,
        tables: Float[Tensor, "tables numbers"],
        processes: Processes,
        parameters: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        decay: OwnDecay | None = None,
    ) -> None:
        super().__init__(processes, parameters, lr, weight_decay, decay)
        self.machine, self.tables = machine, tables
        sizes = [p.numel() for p in self.weights]
        # of each table a view for each parameter
        views = [table.split(sizes) for table in tables]
        rank, world, parts = machine.asking.rank, machine.asking.world, []
        self._sums, self._given = list[Tensor](), [views[4 + r] for r in range(world)]
        self._bounds = [(n * rank // world, n * (rank + 1) // world) for n in sizes]
        for i, (parameter, (first, stop)) in enumerate(zip(self.weights, self._bounds, strict=True)):
            shared = views[0][i].view_as(parameter)
            if rank == 0:
                shared.copy_(parameter.detach())
            parameter.data = shared
            moments = {name: views[1 + k][i].view_as(parameter) for k, name in enumerate(MOMENTS)}
            self.state[parameter] = {"step": torch.tensor(0.0), **moments}
            parts.append(nn.Parameter(parameter.detach().view(-1)[first:stop]))
            self._sums.append(views[3][i][first:stop])
        # the step itself is torch's own, of the parts
        self._own = PlainAdamW(parts, lr=lr, weight_decay=weight_decay, fused=True)
        for part, parameter, (first, stop) in zip(parts, self.weights, self._bounds, strict=True):
            own = {name: self.state[parameter][name].view(-1)[first:stop] for name in MOMENTS}
            self._own.state[part] = {"step": torch.tensor(0.0), **own}
        machine.meet()

    def joined_step(self, clip: float) -> Float[Tensor, ""]:
        self._sum_parts()
        norm = torch.zeros(())
        if clip:
            squares = sum((s.double().square().sum() for s in self._sums), start=torch.zeros((), dtype=torch.float64))
            norm = self.machine.gather(squares).sum(0).sqrt()
            # as torch.nn.utils.clip_grad_norm_ does, its 1e-6 too
            factor = (clip / (norm + 1e-6)).clamp(max=1.0)
            for part in self._sums:
                part.mul_(factor.to(part))
        self.step()
        return norm

    def _sum_parts(self) -> None:
        """Hand over all gradients of this process's, and add up its part of all processes', in the order of ranks."""
        rank = self.machine.asking.rank
        for i, parameter in enumerate(self.weights):
            if parameter.grad is not None:
                self._given[rank][i].copy_(parameter.grad.reshape(-1))
        self.machine.meet()
        for i, (total, (first, stop)) in enumerate(zip(self._sums, self._bounds, strict=True)):
            total.zero_()
            for given in self._given if self.weights[i].grad is not None else ():
                total.add_(given[i][first:stop])

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Step this process's parts by `_sums`, and wait for all others' steps."""
        del closure
        group, own = self.param_groups[0], self._own.param_groups[0]
        own["lr"], own["weight_decay"] = group["lr"], group["weight_decay"]
        for part, total, parameter in zip(own["params"], self._sums, self.weights, strict=True):
            # one without a gradient is left alone, as torch's AdamW leaves it
            part.grad = None if parameter.grad is None else total
            self._own.state[part]["step"].copy_(self.state[parameter]["step"])
            if parameter.grad is not None:
                self.state[parameter]["step"].add_(1)
                if self.decay is not None and self.decay.parameter is parameter:
                    self._shrink(self.decay, part)
        self._own.step()
        self.machine.meet()
        # others stepped their parts, and this process its own under another name: torch has not seen either
        increment_version(self.weights)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take a whole state, the same in every process."""
        kept = {p: dict(self.state[p]) for p in self.weights}
        super().load_state_dict(state_dict)
        for parameter, shared in kept.items():
            for name, tensor in self.state[parameter].items():
                shared[name].copy_(tensor)
            self.state[parameter] = shared
        self.machine.meet()


def make_optimiser(
    processes: Processes,
    parameters: Iterable[nn.Parameter],
    lr: float,
    weight_decay: float,
    decay: OwnDecay | None = None,
) -> JoinedAdamW:
    """Return the optimiser of a network's parameters, which it moves to shared memory where processes have some."""
    weights, machine = list(parameters), processes.machine
    if machine is not None:
        numbers = sum(p.numel() for p in weights)
        tables = shared_table(machine.asking, (4 + machine.asking.world, numbers), weights[0].dtype)
        if tables is not None:
            return SharedAdamW(machine, tables, processes, weights, lr, weight_decay, decay)
    return JoinedAdamW(processes, weights, lr, weight_decay, decay)
