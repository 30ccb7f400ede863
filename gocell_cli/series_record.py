"""What a series of runs says of itself, as types: series.json, which `gocell train` writes and every reader reads.

    OUT/series.json     settings, members, the results of those that are finished
    OUT/seed-0/         each member is a run like any other

Held to these types when it is opened, as a run's files are (`run_record.py`).
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gocell_cli.errors import UsageError
from gocell_cli.file_record import place_recorded
from gocell_cli.run_record import MOST_RECORD, RECORD, ResultRecord, cache_from, damaged_run, read_metrics, read_record
from gocell_cli.typed_file import json_text, parse_json, read_small

SERIES = "series.json"
AGAIN = "train it again: gocell train --seeds N --out DIR"


@dataclass(frozen=True)
class MemberRecord:
    """A run of a series.

    run: its folder. fold: None where the series has no folds; control, control_seed: None where its network lies over
    the cache's hierarchy. partner: of a control, the run of the same seed and split that does. diverged: why its
    training ended before its end; such a member has no results. seconds: of its epochs, compiling left out.
    """

    run: str
    seed: int
    fold: int | None = None
    control: str | None = None
    control_seed: int | None = None
    partner: str | None = None
    diverged: str | None = None
    seconds: float | None = None
    results: dict[str, ResultRecord] | None = None

    def __post_init__(self) -> None:
        if not self.run or "/" in self.run or "\0" in self.run or self.run in (".", ".."):
            raise ValueError("run is no folder of the series")

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to train."""
        return self.results is not None or self.diverged is not None


@dataclass(frozen=True)
class SeriesRecord:
    """series.json; `settings` are those of RunConfig that all members share, split_sha256 is of the split's file."""

    cache: str
    fingerprint: str
    phenotype: str
    settings: dict[str, int | float | str | tuple[float, ...] | tuple[str, ...]]
    members: tuple[MemberRecord, ...]
    split_sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.cache or "\0" in self.cache:
            raise ValueError("cache is no path")
        names = [member.run for member in self.members]
        if not names or len(set(names)) < len(names):
            raise ValueError("a series has members of different names")
        if not {member.partner for member in self.members} - {None} <= set(names):
            raise ValueError("a partner is no member")

    def as_json(self) -> dict[str, Any]:
        """The entries that are there."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        members = [{k: v for k, v in asdict(member).items() if v is not None} for member in self.members]
        return {**found, "members": members}


def is_series(directory: Path) -> bool:
    """Whether a folder holds a series of runs."""
    return (directory / SERIES).is_file()


def read_series(directory: Path) -> SeriesRecord:
    """Return a folder's series.json; raises DamagedCache where it is not what a series writes."""
    path = directory / SERIES
    with damaged_run(path, AGAIN):
        found = parse_json(read_small(path, MOST_RECORD), SeriesRecord)
    return replace(found, cache=place_recorded(found.cache, directory))


def series_text(record: SeriesRecord, directory: Path) -> str:
    """Return what a series' series.json holds; raises Malformed for a number that is not finite."""
    return json_text({**record.as_json(), "cache": cache_from(record.cache, directory)}, indent=1) + "\n"


def finished_member(directory: Path, member: MemberRecord) -> MemberRecord:
    """Return a member with the results that its run has by now, if any; raises DamagedCache where it cannot be read."""
    run = directory / member.run
    if not (run / RECORD).is_file():
        return member
    results = read_record(run).results
    if results is None:
        return member
    seconds = sum(sum(line.seconds.values()) for line in read_metrics(run))
    return replace(member, results=results, diverged=None, seconds=round(seconds, 3))


def of_phenotype(directory: Path, record: SeriesRecord, phenotype: str) -> tuple[SeriesRecord, tuple[str, ...]]:
    """Return a series' record with its members' results of one phenotype, and the phenotypes, that one first.

    "": the first of them. Phenotypes are () while no run is finished. Raises UsageError for one that it has not.
    """
    members: list[MemberRecord] = []
    kinds: tuple[str, ...] = ()
    for member in record.members:
        if member.results is None:
            members.append(member)
            continue
        whole = read_record(directory / member.run)
        own = whole.of_phenotype(phenotype)
        kinds = (own.kind, *(kind for kind in whole.kinds if kind != own.kind))
        members.append(replace(member, results=own.results) if own.kind != whole.kind else member)
    return replace(record, members=tuple(members)), kinds


def finished_runs(directory: Path) -> list[Path]:
    """Return the runs of a series that are trained to their end, in its order: what their own folders say decides."""
    members = [finished_member(directory, member) for member in read_series(directory).members]
    return [directory / member.run for member in members if member.results is not None]


def require_one_run(directory: Path) -> None:
    """Raise UsageError, with its runs, where a folder is a series and one run is asked for."""
    if is_series(directory):
        names = [member.run for member in read_series(directory).members]
        more = f" .. {names[-1]}" if len(names) > 1 else ""
        raise UsageError(
            f"{directory}: a series of {len(names)} runs, not one",
            why=f"they are {names[0]}{more}",
            hint=f"name one of them: {directory / names[0]}",
        )
