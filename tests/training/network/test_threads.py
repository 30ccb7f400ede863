"""The threads of the delta form: they share work, change no bit, and leave PyTorch's own as they were."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.cpu import kernels, layout
from gocell_cli.training.network.delta.form import DeltaForm
from gocell_cli.training.network.delta.threads import run_together
from gocell_cli.training.network.loss import DCellLoss
from tests.training import networks as nets


def test_work_is_shared_and_nobody_waits_for_a_helper_that_is_late() -> None:
    seen: list[int] = []
    gate = threading.Barrier(3)

    def work() -> None:
        gate.wait(20)  # three threads, or it breaks
        seen.append(threading.get_ident())

    run_together(3, work)
    assert len(set(seen)) == 3
    before = threading.active_count()
    run_together(1, lambda: seen.append(0))
    assert threading.active_count() == before, "one thread needs no other"


def test_a_helpers_error_is_not_lost() -> None:
    main = threading.get_ident()
    started = threading.Event()

    def work() -> None:
        if threading.get_ident() == main:
            assert started.wait(20)
            return
        started.set()
        raise ValueError("a helper's")

    with pytest.raises(ValueError, match="a helper's"):
        run_together(2, work)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_makes_threads_of_its_own() -> None:
    run_together(2, lambda: None)
    child = os.fork()
    if child == 0:
        both = threading.Barrier(2)
        try:
            run_together(2, lambda: both.wait(20) and None)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def gradients(count: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """A step's heads, gradients and statistics, with so many threads, however small the work."""
    monkeypatch.setattr(layout, "ALONE", 0)
    monkeypatch.setattr("gocell_cli.training.network.delta.cpu.levels.ALONE", 0)
    monkeypatch.setattr("gocell_cli.training.network.delta.cpu.levels.allowed_threads", lambda: count)
    hierarchy = nets.random_network(5, terms=60, genes=80)
    torch.manual_seed(0)
    model = DCell(hierarchy, DCellConfig(min_width=6, ratio=1.3, width_by="contained", init_range=0.3, form="delta"))
    model.to(dtype)
    batch = nets.deletions(nets.random_genotypes(5, 300, 80), 80)
    heads = model.heads(batch)
    DCellLoss(model.root)(heads, torch.linspace(-1, 1, batch.samples, dtype=dtype)).total.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {**found, "heads": heads.dense(), "var": model.running_var, "mean": model.running_mean}  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    one = gradients(1, dtype, monkeypatch)
    for count in (2, 3):
        other = gradients(count, dtype, monkeypatch)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_small_batch_starts_no_thread() -> None:
    model, _ = nets.pair(nets.random_network(4), DCellConfig(min_width=4, form="delta"))
    form = DeltaForm.of(model)
    plan = form.plan(nets.deletions([(0,), (1, 2)], 12))
    assert layout.Rows.of(form.network, plan).up.sum() < layout.ALONE


MANNERS = """
import os, torch, threading
torch.set_num_threads({told})
from gocell_cli.training.network.delta.cpu import levels
levels.ALONE = 0
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.loss import DCellLoss
from tests.training import networks as nets
model = DCell(nets.random_network(5, terms=60, genes=80), DCellConfig(min_width=4, form="delta"))
before = torch.get_num_threads()
for _ in range(2):
    heads = model.heads(nets.deletions(nets.random_genotypes(5, 20, 80), 80))
    DCellLoss(model.root)(heads, torch.linspace(-1, 1, 100)).total.backward()
assert torch.get_num_threads() == before, "the settings of others are left as they were"
own = [t for t in threading.enumerate() if t.name.startswith("gocell-delta")]
print(len(own))
"""


@pytest.mark.parametrize(
    ("told", "variables"), [(1, {}), (2, {"OMP_NUM_THREADS": "1"}), (2, {"SLURM_CPUS_PER_TASK": "1"})]
)
def test_others_threads_are_left_alone(told: int, variables: dict[str, str]) -> None:
    """In a process of its own, as the settings are one for all that a process runs."""
    env = {**os.environ, **variables}
    code = MANNERS.format(told=told)
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "0", "one thread was allowed: the caller's"


def test_a_schedule_has_every_block_once_and_no_task_before_those_that_it_waits_for() -> None:
    model, _ = nets.pair(nets.random_network(4), DCellConfig(min_width=4, form="delta"))
    form = DeltaForm.of(model)
    plan = form.plan(nets.deletions([(0,), (1, 2)], 12))
    rows, edges = layout.Rows.of(form.network, plan), form.network.edges
    for upwards, before, after in ((True, edges.child, edges.parent), (False, edges.parent, edges.child)):
        schedule = layout.make_schedule(form.network, rows.up, 2, upwards=upwards)
        done = [(int(t), b) for t, lo, hi in zip(*schedule[:3], strict=True) for b in range(lo, hi)]
        assert len(done) == len(set(done)) == form.network.terms.blocks.sum(), "every block of every term once"
        assert np.array_equal(np.bincount(schedule.term), schedule.parts), "a term waits for all tasks of another"
        place = {int(t): i for i, t in enumerate(schedule.term)}  # the last task of each term
        first = {int(t): i for i, t in reversed([*enumerate(schedule.term)])}
        assert all(place[b] < first[a] for b, a in zip(before.tolist(), after.tolist(), strict=True))
        assert schedule.level_ptr[-1] == len(schedule.term)
        assert not schedule.done.any()


def test_an_interrupt_while_a_task_waits_leaves_no_thread_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    helping, held, waiting = (threading.Event() for _ in range(3))
    naps, given = [0], kernels.up.given

    def one_never_runs(*first: object) -> Callable[..., int]:
        """The first task that this thread takes is in its hands for good; the helper runs all others."""
        run, schedule = given(*first), first[7]
        assert isinstance(schedule, kernels.Schedule)

        def call(scratch: object, phases: int, task: int, end: int) -> int:
            if threading.current_thread() is threading.main_thread():
                schedule.taken[0] = 1
                held.set()
                assert helping.wait(20)
                return 0
            helping.set()
            assert held.wait(20)
            return int(run(scratch, phases, task, end))

        return call

    def sleep(_: float) -> None:
        if threading.current_thread() is threading.main_thread():
            assert waiting.wait(20)
            raise KeyboardInterrupt
        naps[0] += 1
        waiting.set()
        assert naps[0] < 100_000, "it waits for ever"

    monkeypatch.setattr(kernels.up, "given", one_never_runs)
    monkeypatch.setattr("gocell_cli.training.network.delta.threads.time.sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        gradients(2, torch.float32, monkeypatch)


class Holder:
    """A pass, as far as its tables go."""


def test_tables_of_two_passes_alive_are_kept_and_no_pass_gets_anothers() -> None:
    """A loop that keeps a step's heads until it has the next ones holds two passes; fresh tables cost page faults."""
    buffers, sizes = layout.Buffers(), {"x": 100, "d": 50}
    holders = [Holder() for _ in range(3)]
    own = [buffers.borrow(holder, sizes, torch.float32) for holder in holders]
    places = [{table.data_ptr() for table in tables.values()} for tables in own]
    assert len(set.union(*places)) == 6, "of three at once no two share one"
    for gone in (0, 1):
        holders[gone] = Holder()  # the one before is gone, the other one is not
        again = buffers.borrow(holders[gone], sizes, torch.float32)
        assert {table.data_ptr() for table in again.values()} == places[gone]
