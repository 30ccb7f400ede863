"""A series as it stands on disk: its lock, its settings, and what has become of each member; whole at every moment."""

import os
from dataclasses import asdict, replace
from pathlib import Path

from gocell_cli.errors import DamagedCache, InvalidInput, UsageError
from gocell_cli.series_record import (
    AGAIN,
    SERIES,
    MemberRecord,
    SeriesRecord,
    finished_member,
    read_series,
    series_text,
)
from gocell_cli.training.runs.config import BEFORE, RunConfig
from gocell_cli.training.runs.series.plan import member_config
from gocell_cli.training.runs.store import RunStore


class Series:
    """The members of a series, and their results as they come; who has one holds the lock of its folder.

    What is in a member's own folder decides: series.json may be behind it by the run that ended when a process died.
    """

    def __init__(self, store: RunStore, record: SeriesRecord) -> None:
        self.store, self.record = store, record
        self.config = series_settings(store.directory, record)

    @classmethod
    def begin(cls, store: RunStore, record: SeriesRecord) -> "Series":
        """Write series.json into a place that was reserved; what fails leaves no trace."""
        try:
            found = cls(store, record)
            found._write()
        # Ctrl-C as well: no directory is left behind that holds no series
        except BaseException:
            store.abandon()
            raise
        return found

    @classmethod
    def reopen(cls, directory: Path) -> "Series":
        """Open a series to go on with it.

        Raises UsageError where another process trains it, DamagedCache where it or a member cannot be read.
        """
        record, store = read_series(directory), RunStore(directory)
        store.lock()
        members = tuple(finished_member(directory, member) for member in record.members)
        found = cls(store, replace(record, members=members))
        found._write()
        return found

    @property
    def directory(self) -> Path:
        """Where it lies."""
        return self.store.directory

    def left(self) -> list[MemberRecord]:
        """The members that are still to be trained, or trained to their end."""
        return [member for member in self.record.members if not member.ended]

    def settings_of(self, member: MemberRecord) -> RunConfig:
        """The settings of a member's run."""
        return member_config(self.config, member)

    def settle(self, member: MemberRecord, diverged: str | None = None) -> MemberRecord:
        """Take in what a member reached, or why it diverged; returns its new record."""
        if diverged is not None:
            settled = replace(member, diverged=diverged)
        else:
            settled = finished_member(self.directory, member)
        members = tuple(settled if one.run == member.run else one for one in self.record.members)
        self.record = replace(self.record, members=members)
        self._write()
        return settled

    def require_split(self, sha256: str | None) -> None:
        """Raise InvalidInput where the split's file is not what it was when the series began."""
        if sha256 != self.record.split_sha256:
            raise InvalidInput(
                f"{self.config.split}: not the split that this series began with",
                why="its sha256 is another one, and the runs would not be tested on the same samples",
                hint="put the file back; or train another series",
            )

    def _write(self) -> None:
        self.store.write_text(SERIES, series_text(self.record, self.directory))


def new_record(
    cache: Path, fingerprint: str, phenotype: str, config: RunConfig, members: tuple[MemberRecord, ...]
) -> SeriesRecord:
    """Return the record of a series that begins; `split_sha256` is its caller's to add."""
    # resolve() would follow links
    return SeriesRecord(os.path.abspath(cache), fingerprint, phenotype, asdict(config), members)  # noqa: PTH100


def series_settings(directory: Path, record: SeriesRecord) -> RunConfig:
    """The settings that the members share; raises DamagedCache where they are none."""
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in record.settings.items()}
    try:
        return RunConfig(**BEFORE).changed(given)
    except UsageError as error:
        raise DamagedCache(f"{directory / SERIES}: {error.message}", why=error.why, hint=AGAIN) from error
