"""Workers that are killed, clusters without one, schedulers that go: one error each, in a time that is known."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gocell_cli.building import tasks
from gocell_cli.building.tasks import ExecutorChoice, ShardTask, run_tasks
from gocell_cli.errors import SourceMissing, Unfinished
from gocell_cli.storage.schema import Samples
from tests.attempts import whole_only

DASK = "from distributed.cli.{0} import main; main()"


class Deadly:
    """Content that kills whoever makes it."""

    def samples(self) -> Samples:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def task(folder: Path) -> ShardTask:
    return ShardTask(folder, ("parquet",), 0, 0, Deadly())


def test_a_worker_that_is_killed_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(Unfinished) as found:
        list(run_tasks([task(tmp_path)], ExecutorChoice("local", 2)))
    assert found.value.message == "a worker process is gone (BrokenProcessPool)"


@contextmanager
def served(role: str, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A scheduler or a worker of dask's in a process of its own."""
    command = [sys.executable, "-c", DASK.format(f"dask_{role}"), *words, "--no-dashboard"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    pytest.importorskip("distributed")
    told = folder / "scheduler.json"
    with served("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told)) as process:
        for _ in range(600):
            if told.is_file() and (text := told.read_text("utf-8")).endswith("}"):
                yield json.loads(text)["address"], process
                return
            time.sleep(0.1)
        raise AssertionError("no scheduler")


def test_a_worker_of_dasks_that_dies_and_one_that_never_comes_hang_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    with scheduler(tmp_path) as (address, process):
        choice = ExecutorChoice("dask", 1, address, said.append, look=0.2, patience=1.5)
        begun = time.monotonic()
        with pytest.raises(Unfinished, match="has no worker") as found:
            list(run_tasks([task(tmp_path)], choice))
        assert 1.5 <= time.monotonic() - begun < 60
        assert "GOCELL_WORKER_TIMEOUT" in found.value.why
        assert len(said) > 1
        assert said[0].startswith(f"{address} has no worker; waiting for ")

        local = ("--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path))
        with served("worker", address, *local) as worker, pytest.raises(Unfinished, match="has no worker"):
            list(run_tasks([task(tmp_path)], choice))
        assert worker.returncode == -signal.SIGKILL

        process.kill()
        with pytest.raises(SourceMissing, match="no dask scheduler answers"):
            list(run_tasks([task(tmp_path)], choice))


def test_a_scheduler_that_goes_meanwhile_is_one_error(tmp_path: Path) -> None:
    with scheduler(tmp_path) as (address, process):
        choice = ExecutorChoice("dask", 1, address, lambda _: process.kill(), look=0.2, patience=30.0)
        with pytest.raises(Unfinished, match=r"is gone|does not answer") as found:
            list(run_tasks([task(tmp_path)], choice))
        assert found.value.exit_code == 5


def open_clients() -> list[object]:
    client = pytest.importorskip("distributed").Client
    # by type(): isinstance asks objects for their __class__, which some of PyTorch's answer with a warning
    return [one for one in gc.get_objects() if issubclass(type(one), client) and one.status != "closed"]


@pytest.mark.parametrize("address", ["nonsense://x:1", "tcp://[", "", "tls://127.0.0.1:1", "tcp://127.0.0.1:1"])
def test_an_address_that_is_none_is_one_error(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(tasks, "CONNECT_SECONDS", 1)
    with pytest.raises(SourceMissing, match="no dask scheduler answers"):
        list(run_tasks([], ExecutorChoice("dask", 1, address)))
    assert not open_clients()


@whole_only  # a nanny starts a worker again three times; the test above holds what becomes of dead ones
def test_a_shard_of_which_all_workers_of_a_local_cluster_die_is_one_error(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(Unfinished, match="died, one after the other"):
        list(run_tasks([task(tmp_path)], ExecutorChoice("dask", 1)))
