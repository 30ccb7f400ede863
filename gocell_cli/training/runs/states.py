"""What a checkpoint says beside its tensors, as types: what a network needs to predict, and a training to go on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gocell_cli.errors import DamagedCache
from gocell_cli.run_record import EpochRecord
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.typed_file import Malformed, T, typed

SHAPING = (
    *("split", "fractions", "split_seed", "folds", "fold", "subset", "split_column", "split_rule", "seed"),
    *("loss", "norm_order", "gene_weights", "min_width", "ratio", "top_width", "top_strata"),
    *("products", "learnt_vectors"),
    *("control", "control_seed"),
)
"""Settings that say what weights mean and which samples they have seen: with another one they predict nonsense."""
NEWER: dict[str, Any] = {
    "control": "", "control_seed": 0, "top_width": 0, "top_strata": 3, "products": 0, "learnt_vectors": 0,
}  # fmt: skip
"""What checkpoints of before there were such settings were trained with."""
SCHEDULED = ("last_epoch", "_step_count", "_last_lr", "best", "num_bad_epochs", "cooldown_counter")
"""What changes in torch's schedulers from epoch to epoch; all else is of the settings, or of torch's version."""


@dataclass(frozen=True)
class Meaning:
    """A phenotype after the first, of a network that predicts several, and how its labels are scaled."""

    label: LabelScale
    phenotype: str


@dataclass(frozen=True)
class BestState:
    """`epoch` whose weights they are, and what their statistics were taken over.

    layout: `layout_of` of the network. label, phenotype, settings, and others, of the phenotypes after the first: what
    the heads mean, so that a run.json or
    config.toml that says otherwise is noticed. Checkpoints of before these have none.
    """

    epoch: int
    statistics: str
    layout: str | None = None
    label: LabelScale | None = None
    phenotype: str | None = None
    settings: dict[str, Any] | None = None
    others: list[Meaning] | None = None


@dataclass(frozen=True)
class LastState:
    """Where a training stands: `step` of `epoch`, the best loss (None: none yet), epochs waited, sums of the epoch.

    norms: sum and largest of the epoch's gradient norms by step; checkpoints of before they came have none.
    """

    epoch: int
    step: int
    best: float | None
    waited: int
    sums: list[float]
    history: list[EpochRecord]
    scheduler: dict[str, int | float | bool | str | list[float] | None]
    learning_rate: float
    layout: str | None = None
    settings: dict[str, Any] | None = None
    norms: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if min(self.epoch, self.step, self.waited, self.learning_rate) < 0:
            raise ValueError("an epoch, step, wait or learning rate is below 0")
        if [line.epoch for line in self.history] != list(range(self.epoch)):
            raise ValueError(f"its history is not that of {self.epoch} epochs")


def shaping(config: RunConfig) -> dict[str, Any]:
    """Return the settings that a checkpoint keeps."""
    values = asdict(config)
    return {name: values[name] for name in SHAPING}


def read_state(state: Mapping[str, Any], kind: type[T]) -> T:
    """Return a checkpoint's state as BestState or LastState; raises DamagedCache where it is none."""
    try:
        return typed(dict(state), kind)
    except Malformed as error:
        raise DamagedCache(f"a damaged checkpoint: {error}", hint="train again") from error


def require_settings(kept: Mapping[str, Any] | None, config: RunConfig) -> None:
    """Raise DamagedCache where a run's settings are not those that its checkpoint was made with."""
    now = shaping(config)
    for name, value in ({**NEWER, **kept} if kept is not None else {}).items():
        found = list(now[name]) if isinstance(now.get(name), tuple) else now.get(name)
        if found != value:
            raise DamagedCache(
                f"config.toml: {name} is {found!r}, and the checkpoint was trained with {value!r}",
                why="its weights would mean something else",
                hint=f"put it back; or train anew: gocell train --set {name}=... --out ANOTHER",
            )


def require_meaning(state: BestState, scale: LabelScale, kind: str, number: int = 0) -> None:
    """Raise DamagedCache where run.json says another phenotype or scale than the checkpoint was trained on.

    number: of several phenotypes, which.
    """
    own: BestState | Meaning = state
    if number:
        others = state.others or []
        if number > len(others):
            raise DamagedCache("the checkpoint predicts fewer phenotypes than run.json says", hint="train again")
        own = others[number - 1]
    for what, kept, found in (("label", own.label, scale), ("phenotype", own.phenotype, kind)):
        if kept is not None and kept != found:
            raise DamagedCache(
                f"run.json: {what} is {found}, and the checkpoint was trained on {kept}",
                hint="put it back; or train the run again",
            )
