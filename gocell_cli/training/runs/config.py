"""Everything that decides a run: defaults, then a TOML file, then flags; saved with the run as it was resolved."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.training.data.splits import SPLITS
from gocell_cli.training.network.dcell import DCellConfig

CHOICES: dict[str, tuple[str, ...]] = {
    "split": SPLITS,
    "loss": ("auto", "mse", "bce"),
    "auxiliary": ("sum", "mean"),
    "scheduler": ("constant", "cosine", "plateau"),
    "bn_eval": ("population", "running"),
    "precision": ("32-true", "bf16-mixed", "64-true"),
    "device": ("auto", "cpu", "cuda"),
    "form": ("auto", "delta", "dense"),
}


@dataclass(frozen=True)
class RunConfig:
    """A run's settings, all of plain types. The network's own are described in DCellConfig.

    fractions: train, validation and test. clip: largest gradient norm (0: off). patience: epochs without a better
    validation loss before training stops (0: never). min_lr: where cosine ends, and plateau stops halving.
    loss: `auto` is bce for viability and mse else. population_samples: training samples that BatchNorm's population
    statistics are taken over between epochs (checkpoints and the final figures take all of them).
    norm_order: torchcell's `bn-tanh`, because the paper's `tanh-bn` learned less from the same simulated data (test r
    0.72 against 0.80), and once died: neurons whose tanh is 1 for every sample have no gradient ever after.
    form: `delta` computes only what deletions touch, `dense` everything, `auto` takes the faster for each batch; the
    numbers are the same. Several processes and bf16 run dense. wandb: a Weights & Biases project to log to as well.
    """

    epochs: int = 20
    batch_size: int = 256
    lr: float = 3e-3
    min_lr: float = 1e-5
    weight_decay: float = 0.0
    l2: float = 0.0
    clip: float = 1.0
    scheduler: str = "cosine"
    patience: int = 0
    split: str = "random"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 0
    device: str = "auto"
    precision: str = "32-true"
    loss: str = "auto"
    auxiliary: str = "sum"
    alpha: float = 0.3
    bn_eval: str = "population"
    population_samples: int = 4096
    norm_order: str = "bn-tanh"
    gene_weights: str = "own"
    init_range: float = 0.001
    min_width: int = 20
    ratio: float = 0.3
    form: str = "auto"
    wandb: str = ""

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}", hint=f"one of: {', '.join(allowed)}")
        for name, least in (("epochs", 1), ("batch_size", 2), ("patience", 0), ("population_samples", 2)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}", hint=f"at least {least}")
        if self.lr <= 0 or min(self.min_lr, self.weight_decay, self.l2, self.clip) < 0:
            raise UsageError("lr must be above 0; min_lr, weight_decay, l2 and clip not below it")
        if self.l2 and self.weight_decay:
            raise UsageError("l2 and weight_decay would both shrink the weights", hint="set one to 0")

    def network(self, width_by: str) -> DCellConfig:
        """The network's settings; widths count what the cache's preset says."""
        return DCellConfig(
            width_by, self.min_width, self.ratio, self.norm_order, self.init_range, self.alpha, self.gene_weights,
            form="dense" if self.precision == "bf16-mixed" else self.form,
        )  # fmt: skip

    def changed(self, changes: Mapping[str, Any], where: str = "") -> "RunConfig":
        """Return the config with some settings replaced; raises UsageError for an unknown name or a wrong type."""
        known = {f.name: f.type for f in fields(self)}
        found: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise UsageError(f"{where}no setting {name!r}", hint=f"there are: {', '.join(known)}")
            default = getattr(self, name)
            if isinstance(default, float) and type(value) is int:
                value = float(value)  # noqa: PLW2901 TOML's 1 where 1.0 is meant
            if isinstance(default, tuple) and isinstance(value, list) and len(value) == len(default):
                value = tuple(map(float, value))  # noqa: PLW2901 TOML knows arrays only
            if type(value) is not type(default):
                raise UsageError(f"{where}{name} is {value!r}, not like {default!r}")
            found[name] = value
        return replace(self, **found)

    def to_toml(self) -> str:
        """Return the settings as TOML: JSON's strings, numbers and arrays are TOML's."""
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in asdict(self).items())


def read_config(path: Path, base: RunConfig | None = None) -> RunConfig:
    """Return `base` (default: the defaults) as changed by a TOML file.

    Raises InvalidInput where the file is not TOML, UsageError where it sets what is not there.
    """
    try:
        changes = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: not TOML: {error}") from error
    return (base or RunConfig()).changed(changes, where=f"{path}: ")
