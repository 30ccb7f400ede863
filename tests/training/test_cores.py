"""How many cores and threads are used: no more than any limit allows."""

import os
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from gocell_cli.training import cores
from gocell_cli.training.cores import allowed_cores, allowed_threads, cgroup_cores
from gocell_cli.training.data.ahead import MOST_THREADS, threads_beside

LIMITS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")


@pytest.fixture(autouse=True)
def _torch_threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", LIMITS)
def test_a_variables_limit_is_obeyed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in LIMITS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(cores, "cgroup_cores", lambda: 3.5)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    torch.set_num_threads(6)
    assert allowed_threads() == 3, "of 3.5 cores three threads have all of theirs"
    monkeypatch.setenv(name, "2")
    assert allowed_threads() == 2
    monkeypatch.setenv(name, "1,4")
    assert allowed_threads() == 1
    for nonsense in ("", "none", "0", "-2"):
        monkeypatch.setenv(name, nonsense)
        assert allowed_threads() == 3


def test_the_least_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    for count, quota, told, wanted in ((8, 8.0, 2, 2), (1, 8.0, 4, 1), (8, 0.5, 4, 1), (8, float("inf"), 4, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=count: set(range(n)), raising=False)
        monkeypatch.setattr(cores, "cgroup_cores", lambda q=quota: q)
        torch.set_num_threads(told)
        assert allowed_threads() == wanted


def test_quotas_of_a_cgroup_and_of_those_above_it(tmp_path: Path) -> None:
    proc, root = tmp_path / "cgroup", tmp_path / "fs"
    folder = root / "slurm" / "job"
    folder.mkdir(parents=True)
    proc.write_text("0::/slurm/job\n", "utf-8")
    assert cgroup_cores(proc, root) == float("inf"), "no quota anywhere"
    (folder / "cpu.max").write_text("max 100000\n", "utf-8")
    assert cgroup_cores(proc, root) == float("inf")
    (folder.parent / "cpu.max").write_text("150000 100000\n", "utf-8")
    assert cgroup_cores(proc, root) == 1.5
    (folder / "cpu.max").write_text("50000 100000\n", "utf-8")
    assert cgroup_cores(proc, root) == 0.5
    (folder / "cpu.max").write_text("damaged", "utf-8")
    assert cgroup_cores(proc, root) == 1.5
    assert cgroup_cores(tmp_path / "none", root) == float("inf")


def test_quotas_of_the_first_version(tmp_path: Path) -> None:
    proc, root = tmp_path / "cgroup", tmp_path / "fs"
    folder = root / "cpu,cpuacct" / "box"
    folder.mkdir(parents=True)
    proc.write_text("4:memory:/box\n3:cpu,cpuacct:/box\n", "utf-8")
    (folder / "cpu.cfs_quota_us").write_text("-1\n", "utf-8")
    (folder / "cpu.cfs_period_us").write_text("100000\n", "utf-8")
    assert cgroup_cores(proc, root) == float("inf")
    (folder / "cpu.cfs_quota_us").write_text("200000\n", "utf-8")
    assert cgroup_cores(proc, root) == 2


def test_batches_are_made_ahead_within_the_same_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU by a thread if two may compute; beside a GPU by a thread a core, whatever number OpenMP was told."""
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(32)), raising=False)
    monkeypatch.setattr(cores, "cgroup_cores", lambda: float("inf"))
    torch.set_num_threads(4)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert (threads_beside(cpu), threads_beside(gpu)) == (1, MOST_THREADS)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert (threads_beside(cpu), threads_beside(gpu)) == (0, MOST_THREADS)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    assert (allowed_cores(), threads_beside(gpu)) == (4, 3)
    monkeypatch.setattr(cores, "cgroup_cores", lambda: 1.5)
    assert (threads_beside(cpu), threads_beside(gpu)) == (0, 1)


@pytest.mark.parametrize(("jobs", "each"), [(1, 6), (2, 3), (4, 1), (100, 1)])
def test_jobs_share_the_threads(monkeypatch: pytest.MonkeyPatch, jobs: int, each: int) -> None:
    monkeypatch.setattr(cores, "allowed_cores", lambda: 6)
    for name in LIMITS:
        monkeypatch.delenv(name, raising=False)
    torch.set_num_threads(6)
    with threadpool_limits():  # puts the libraries' own numbers back
        cores.share_cores(jobs)
        assert allowed_threads() == each
        assert all(pool["num_threads"] <= each for pool in threadpool_info() if pool["user_api"] == "blas")
