"""Weights that processes share and step by parts are those of one process that steps them all."""

from typing import Any

import pytest
import torch
from torch import nn

from gocell_cli.training.runs import one_machine
from gocell_cli.training.runs.one_machine import OneMachine
from gocell_cli.training.runs.optimiser import JoinedAdamW, OwnDecay, SharedAdamW, make_optimiser
from gocell_cli.training.runs.processes import Processes
from tests.training.runs.test_one_machine import connected
from tests.training.together import Member, together

pytestmark = pytest.mark.skipif(not one_machine.MEMORY.is_dir(), reason="this machine has no files in memory")
SIZES = ((5, 3), (7,), (1,))
STEPS = 4


def weights() -> list[nn.Parameter]:
    numbers = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(size, generator=numbers, dtype=torch.float64)) for size in SIZES]


def gradients(step: int, rank: int) -> list[torch.Tensor]:
    numbers = torch.Generator().manual_seed(1 + step + 100 * rank)
    return [torch.randn(size, generator=numbers, dtype=torch.float64) for size in SIZES]


OWN = 0.5
"""Decay of the first parameter alone."""


def alone(world: int, clip: float) -> tuple[list[nn.Parameter], torch.optim.AdamW, list[float]]:
    """One process with the sum of all gradients, in torch's own words."""
    parameters, norms = weights(), []
    # of two decays after each other: (1 - lr * all) (1 - lr * OWN) = 1 - lr * (all + OWN - lr * all * OWN)
    groups = [{"params": parameters[:1], "weight_decay": 0.1 + OWN - 0.1 * 0.1 * OWN}, {"params": parameters[1:]}]
    optimiser = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.1, fused=True)
    for step in range(STEPS):
        for i, parameter in enumerate(parameters):
            parameter.grad = torch.stack([gradients(step, r)[i] for r in range(world)]).sum(0)
        parameters[1].grad = None if step == 0 else parameters[1].grad
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, clip)) if clip else 0.0)
        optimiser.step()
    return parameters, optimiser, norms


def processes_of(machine: OneMachine | None) -> Processes:
    found = object.__new__(Processes)  # what joins them is all that an optimiser asks for
    found.machine, found.world = machine, 1
    return found


@pytest.mark.parametrize("clip", [0.0, 0.5])
@pytest.mark.parametrize("world", [2, 3])
def test_steps_by_parts_are_steps_of_all(world: int, clip: float) -> None:
    """A parameter of fewer numbers than processes; one without gradient in the first step; a state put back midway."""
    wanted, torchs, norms = alone(world, clip)

    def work(member: Member) -> tuple[list[torch.Tensor], dict[str, Any]]:
        parameters = weights()
        decay = OwnDecay(parameters[0], OWN)
        optimiser = make_optimiser(processes_of(connected(member)), parameters, 0.1, 0.1, decay)
        assert isinstance(optimiser, SharedAdamW)
        for step in range(STEPS):
            optimiser.zero_grad()
            for parameter, own in zip(parameters, gradients(step, member.rank), strict=True):
                parameter.grad = own
            parameters[1].grad = None if step == 0 else parameters[1].grad
            before = parameters[0]._version
            assert float(optimiser.joined_step(clip)) == pytest.approx(norms[step], rel=1e-12)
            assert parameters[0]._version > before  # what is kept of a network between steps asks for it
            optimiser.load_state_dict(optimiser.state_dict())
        return parameters, optimiser.state_dict()["state"]

    for parameters, state in together(world, work):
        for found, own in zip(parameters, wanted, strict=True):
            assert torch.allclose(found, own, rtol=0, atol=1e-12)
        for i, own_state in torchs.state_dict()["state"].items():
            for name, tensor in own_state.items():
                assert torch.allclose(state[i][name], tensor, rtol=0, atol=1e-12), (i, name)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_one_process_decays_as_torchs_groups_do(clip: float) -> None:
    wanted, _, norms = alone(1, clip)
    parameters = weights()
    optimiser = make_optimiser(processes_of(None), parameters, 0.1, 0.1, OwnDecay(parameters[0], OWN))
    for step in range(STEPS):
        for parameter, own in zip(parameters, gradients(step, 0), strict=True):
            parameter.grad = own
        parameters[1].grad = None if step == 0 else parameters[1].grad
        assert float(optimiser.joined_step(clip)) == pytest.approx(norms[step], rel=1e-12)
    for found, own in zip(parameters, wanted, strict=True):
        assert torch.allclose(found, own, rtol=0, atol=1e-12)


def test_a_process_alone_has_torchs_own() -> None:
    optimiser = make_optimiser(processes_of(None), weights(), 0.1, 0.1)
    assert type(optimiser) is JoinedAdamW
