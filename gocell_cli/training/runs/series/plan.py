"""Which runs a series is made of: seeds by folds, and beside the first of them the controls of the hierarchy."""

from collections.abc import Iterator
from dataclasses import dataclass

from gocell_cli.errors import UsageError
from gocell_cli.series_record import MemberRecord
from gocell_cli.training.runs.config import CHOICES, RunConfig

KINDS = CHOICES["control"][1:]
MOST_RUNS = 10_000


@dataclass(frozen=True)
class SeriesChoice:
    """What is asked for besides a run's settings: `seeds` from the settings' own on, all `folds`, or the settings' one.

    controls: so many of each of `kinds`, drawn by 0, 1, ..; the i-th has the seed and the split of the series' i-th
    run, its partner (of the first again where there are more controls than runs), so that their difference is the
    hierarchy's alone.
    """

    seeds: int = 1
    folds: bool = False
    controls: int = 0
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.controls < 0:
            raise UsageError(f"--seeds {self.seeds}, --controls {self.controls}", hint="at least one seed")
        if not self.kinds or len({*self.kinds}) < len(self.kinds) or not {*self.kinds} <= {*KINDS}:
            raise UsageError(f"no kinds of control: {','.join(self.kinds)}", hint=f"some of: {','.join(KINDS)}")


def plan(config: RunConfig, choice: SeriesChoice) -> tuple[MemberRecord, ...]:
    """Return the members of a series, the runs before their controls.

    Raises UsageError for more than MOST_RUNS, for controls of a control, and for a seed that is none.
    """
    folds = config.folds if choice.folds else 1
    runs, controls = choice.seeds * folds, choice.controls * len(choice.kinds)
    if runs + controls > MOST_RUNS:
        raise UsageError(f"a series of {runs + controls:,} runs", hint=f"at most {MOST_RUNS:,}")
    if controls and config.control:
        raise UsageError("a control has no controls", hint="--controls, or --set control=..")
    config.changed({"seed": config.seed + choice.seeds - 1})
    plain = tuple(_runs(config, choice, folds))
    return plain + tuple(
        _control(plain[number % len(plain)], kind, number) for number in range(choice.controls) for kind in choice.kinds
    )


def _runs(config: RunConfig, choice: SeriesChoice, folds: int) -> Iterator[MemberRecord]:
    for seed in range(config.seed, config.seed + choice.seeds):
        for fold in range(folds):
            name = f"seed-{seed}-fold-{fold}" if choice.folds else f"seed-{seed}"
            yield MemberRecord(name, seed, fold if choice.folds else None)


def _control(partner: MemberRecord, kind: str, number: int) -> MemberRecord:
    return MemberRecord(f"{partner.run}-{kind}-{number}", partner.seed, partner.fold, kind, number, partner.run)


def member_config(config: RunConfig, member: MemberRecord) -> RunConfig:
    """Return the settings of a member's run; a control has no baselines, for they would be its partner's."""
    changes: dict[str, object] = {"seed": member.seed}
    if member.fold is not None:
        changes["fold"] = member.fold
    if member.control is not None:
        changes |= {"control": member.control, "control_seed": member.control_seed, "baselines": "none"}
    return config.changed(changes)
