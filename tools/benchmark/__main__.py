"""`make benchmark [QUICK=1] [ONLY=task,task]`: measure every task, write the page; goes on where it was stopped."""

import argparse
import sys
import time
from pathlib import Path

from gocell_cli.whole_file import write_whole
from tests.benchmarks.measure import cores
from tools.benchmark.measured import Effort, Measured, built, measure, tasks_of
from tools.benchmark.page import page
from tools.benchmark.tasks import TASKS, Task

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmark.md"
SEEDS, QUICK_SEEDS = 3, 2


def main() -> None:
    """Measure, and write the page: into the docs where all that can be measured was."""
    asked = _arguments()
    names = [name for name in asked.only.split(",") if name]
    unknown = sorted(set(names) - {task.name for task in TASKS})
    if unknown:
        sys.exit(f"no task {', '.join(unknown)}; there are: {', '.join(task.name for task in TASKS)}")
    effort = Effort(QUICK_SEEDS if asked.quick else SEEDS, asked.quick, cores())
    begun = time.perf_counter()
    tasks = [task for task in TASKS if task.name in names] if names else tasks_of(effort)
    measured, missing = _measured(tasks, asked.folder, effort)
    left_out = [task for task in TASKS if task not in tasks]
    text = page(measured, missing, effort, time.perf_counter() - begun, left_out)
    whole = not asked.quick and not names
    out = asked.out or (PAGE if whole else asked.folder / ("quick.md" if asked.quick else "part.md"))
    write_whole(out, text.encode())
    print(out)


def _measured(tasks: list[Task], folder: Path, effort: Effort) -> tuple[list[Measured], list[Task]]:
    done, missing = [], []
    for task in tasks:
        cache = built(task.data, folder)
        if cache is None:
            print(f"{task.name}: {task.data.missing}", file=sys.stderr)
            missing.append(task)
        else:
            done.append(measure(task, cache, folder, effort))
    return done, missing


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two seeds, few samples and epochs, one kind of control")
    parser.add_argument("--only", default="", help="tasks, comma separated")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_data"), help="where caches and runs are kept")
    parser.add_argument("--out", type=Path, help="the page; default: the docs' where everything was asked for")
    return parser.parse_args()


if __name__ == "__main__":
    main()
