"""What a sweep says of itself: sweep.json, written once when it begins, and where all else of it lies.

OUT/sweep.json    cache, fingerprint, settings, what is searched, seeds
OUT/study.log     optuna's journal: each trial's settings and outcome, a line an event
OUT/trials/N/     the runs of trial N while they train; nothing once they are measured
OUT/trials.tsv    a line a trial, and the settings as they are first
OUT/best.toml     the settings that were best, for `gocell train --config`
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gocell_cli.errors import DamagedCache, SourceMissing, UsageError
from gocell_cli.file_record import place_recorded
from gocell_cli.run_record import MOST_RECORD, cache_from, damaged_run
from gocell_cli.training.runs.config import BEFORE, RunConfig
from gocell_cli.typed_file import json_text, parse_json, read_small

SWEEP, STUDY, TRIALS, TABLE, BEST = "sweep.json", "study.log", "trials", "trials.tsv", "best.toml"
AGAIN = "begin another sweep: gocell sweep --out DIR"


@dataclass(frozen=True)
class SweepRecord:
    """sweep.json. settings: of RunConfig, under what is searched; search: as --search has it; seed: of the choices.

    Each trial trains `seeds` runs, whose seeds and validation parts are seed, seed + 1, ... of the settings.
    """

    cache: str
    fingerprint: str
    settings: dict[str, int | float | str | tuple[float, ...] | tuple[str, ...]]
    search: tuple[str, ...]
    seeds: int
    prune: bool
    split_sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.cache or "\0" in self.cache:
            raise ValueError("cache is no path")
        if self.seeds < 1 or not self.search:
            raise ValueError("a sweep has seeds, and settings to search")

    def config(self) -> RunConfig:
        """Return the settings under those that are searched."""
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in self.settings.items()}
        return RunConfig(**BEFORE).changed(given)


def is_sweep(directory: Path) -> bool:
    """Whether a folder holds a sweep."""
    return (directory / SWEEP).is_file()


def read_sweep(directory: Path) -> SweepRecord:
    """Return a folder's sweep.json; raises SourceMissing where there is none, DamagedCache for what no sweep writes."""
    if not is_sweep(directory):
        raise SourceMissing(
            f"{directory}: no sweep is here", hint=f"with a cache it begins: gocell sweep CACHE --out {directory}"
        )
    path = directory / SWEEP
    with damaged_run(path, AGAIN):
        found = parse_json(read_small(path, MOST_RECORD), SweepRecord)
    try:
        found.config()
    except UsageError as error:
        raise DamagedCache(f"{path}: {error.message}", why=error.why, hint=AGAIN) from error
    return replace(found, cache=place_recorded(found.cache, directory))


def sweep_text(record: SweepRecord, directory: Path) -> str:
    """Return what a sweep's sweep.json holds."""
    return json_text({**asdict(record), "cache": cache_from(record.cache, directory)}, indent=1) + "\n"
