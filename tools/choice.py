"""Settings x data x seeds, judged on the validation part: the table that the defaults of `gocell train` are chosen by.

    python -m tools.choice tools/choice.toml --out choice.jsonl

The TOML file has a table of settings for each contender, over the defaults. A line of the output is one training; what
stands there is not trained again. Nothing looks at a test part. The table of means and standard deviations is printed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.run import begin_run
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Stopped
from gocell_cli.typed_file import parse_toml
from tools.benchmark.measured import built
from tools.benchmark.tasks import COLLINS, ESSENTIALITY, SIMULATED, SLICE, Data


@dataclass(frozen=True)
class Ground:
    """What contenders are tried on: a cache, and a split of it."""

    data: Data
    changes: dict[str, Any]
    metric: str = "pearson"


GROUNDS = {
    "essentiality": Ground(ESSENTIALITY, {}, "auroc"),
    "slice-random": Ground(SLICE, {}),
    "slice-query": Ground(SLICE, {"split": "query"}),
    "simulated": Ground(SIMULATED, {"subset": 8_000}),
    "collins": Ground(COLLINS, {"subset": 8_000}),
    "collins-gene": Ground(COLLINS, {"split": "gene", "subset": 8_000}),
}


@dataclass(frozen=True)
class Outcome:
    """One training. value: the validation part's metric in the epoch of its least loss, which is the one that is kept.

    seconds: CPU time of all epochs, those after the best too; cut: it was stopped for its time.
    """

    contender: str
    ground: str
    seed: int
    value: float | None
    best: int
    epochs: int
    seconds: float
    cut: bool
    settings: dict[str, Any]


def trained(cache: Cache, config: RunConfig, seconds: float) -> tuple[list[dict[str, Any]], float, bool]:
    """Return the history of a training of at most so many CPU seconds, its own, and whether it was cut."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = begin_run(lambda: RunStore.reserve(Path(folder) / "run"), cache, config)
        # CPU time, not the clock's: what else a machine does decides nothing
        begun, cut = time.process_time(), False
        trainer.stop_at = lambda: time.process_time() > begun + seconds
        try:
            trainer.fit(lambda _: None)
        except Stopped:
            cut = True
        trainer.store.release()
        return trainer.history, time.process_time() - begun, cut


def outcome(contender: str, ground: str, seed: int, cache: Cache, config: RunConfig, seconds: float) -> Outcome:
    """Train one contender."""
    history, spent, cut = trained(cache, config, seconds)
    best = min(history, key=lambda line: float(line["validation"]["loss_root"]), default=None)
    value = None if best is None else best["validation"][GROUNDS[ground].metric]
    default = asdict(RunConfig())
    changed = {name: setting for name, setting in asdict(config).items() if setting != default[name]}
    number = -1 if best is None else int(best["epoch"])
    return Outcome(contender, ground, seed, value, number, len(history), round(spent, 1), cut, changed)


def done(path: Path) -> dict[tuple[str, str, int], Outcome]:
    """Return the outcomes that a file holds."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = [Outcome(**json.loads(line)) for line in lines]
    return {(o.contender, o.ground, o.seed): o for o in found}


def table(outcomes: dict[tuple[str, str, int], Outcome], contenders: list[str], grounds: list[str]) -> Iterator[str]:
    """Yield the lines of a Markdown table: mean and standard deviation over seeds, best epoch, CPU seconds."""
    yield f"| | {' | '.join(grounds)} |"
    yield f"|---|{'---|' * len(grounds)}"
    for contender in contenders:
        yield f"| {contender} | {' | '.join(_cell(outcomes, contender, ground) for ground in grounds)} |"


def _cell(outcomes: dict[tuple[str, str, int], Outcome], contender: str, ground: str) -> str:
    own = [o for (c, g, _), o in outcomes.items() if (c, g) == (contender, ground)]
    values = [o.value for o in own if o.value is not None]
    if not values:
        return "-"
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    cut = ", cut" if any(o.cut for o in own) else ""
    epochs, seconds = fmean(o.best + 1 for o in own), fmean(o.seconds for o in own)
    return f"{fmean(values):.3f}{spread} ({epochs:.0f} epochs, {seconds:.0f} s{cut})"


def _caches(folder: Path) -> Callable[[str], Cache | None]:
    kept: dict[str, Cache | None] = {}

    def of(ground: str) -> Cache | None:
        data = GROUNDS[ground].data
        if data.name not in kept:
            place = built(data, folder)
            kept[data.name] = None if place is None else Cache(place)
            if place is None:  # said once, for a table without it would look whole
                print(f"{data.name}: left out: {data.missing}; GOCELL_TEST_DATA names its folder", file=sys.stderr)
        return kept[data.name]

    return of


def main() -> None:
    """Train what is missing, and print the table."""
    asked = _arguments()
    contenders: dict[str, dict[str, Any]] = parse_toml(asked.contenders.read_bytes())
    grounds, found, cache_of = asked.only.split(","), done(asked.out), _caches(asked.folder)
    # seed by seed and contender by contender: a table that is stopped early has whole rows
    for seed, (name, settings), ground in product(range(asked.seeds), contenders.items(), grounds):
        cache = None if (name, ground, seed) in found else cache_of(ground)
        if cache is None:
            continue
        config = RunConfig(seed=seed, baselines="none").changed({**GROUNDS[ground].changes, **settings})
        one = outcome(name, ground, seed, cache, config, asked.seconds)
        found[name, ground, seed] = one
        with asked.out.open("a", encoding="utf-8") as file:
            print(json.dumps(asdict(one)), file=file)
        print(one, file=sys.stderr, flush=True)
    print("\n".join(table(found, list(contenders), grounds)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contenders", type=Path, help="TOML: a table of settings for each")
    parser.add_argument("--out", type=Path, default=Path("choice.jsonl"), help="what was trained, a line each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="CPU seconds of the longest training")
    parser.add_argument("--only", default=",".join(GROUNDS), help=f"of {', '.join(GROUNDS)}")
    parser.add_argument("--folder", type=Path, default=Path("benchmark_data"), help="where caches are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
