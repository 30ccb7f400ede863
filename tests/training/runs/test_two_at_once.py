"""Two trainings started together, in real processes: never in one directory."""

from pathlib import Path

from gocell_cli.training.runs.store import RunStore
from tests.commands.fork_server import Forked, environment

SECONDS = 600
SMALL = ("--epochs", "1", "--batch-size", "32", "--set", "min_width=2", "--set", "ratio=0.0", "--device", "cpu")


def start(*words: object) -> Forked:
    return Forked(["gocell", "train", *words], Path.cwd(), environment())


def ends(*processes: Forked) -> list[tuple[int | None, str, str]]:
    return sorted((process.returncode, *streams) for process in processes for streams in [process.communicate(SECONDS)])


def test_one_of_two_gets_the_directory_that_both_ask_for(small_cache: Path, tmp_path: Path) -> None:
    words = (small_cache, "--out", tmp_path / "run", *SMALL)
    (first, _, errors), (second, _, refusal) = ends(start(*words), start(*words))
    assert (first, second) == (0, 2), (errors, refusal)
    assert "another process is training here" in refusal or "a run is here already" in refusal
    assert RunStore(tmp_path / "run").record().results


def test_numbered_directories_are_each_ones_own(small_cache: Path, tmp_path: Path) -> None:
    words = (small_cache, "--root", tmp_path, *SMALL, "--quiet")
    found = ends(start(*words), start(*words))
    assert [code for code, _, _ in found] == [0, 0], found
    runs = [tmp_path / "runs" / f"cache-{number}" for number in (1, 2)]
    assert sorted(Path(out.strip()) for _, out, _ in found) == runs
    assert all(RunStore(run).record().results for run in runs)
    store = RunStore(runs[0])
    store.lock()
    ((code, _, errors),) = ends(start("--resume", "--out", runs[0]))
    assert (code, "another process is training here" in errors) == (2, True)
