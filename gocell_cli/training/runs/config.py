"""Everything that decides a run: defaults, then a TOML file, then flags; saved with the run as it was resolved."""

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from gocell_cli.errors import DamagedCache, InvalidInput, SourceMissing, UsageError, did_you_mean
from gocell_cli.run_record import CONFIG
from gocell_cli.training.baselines.names import chosen_names
from gocell_cli.training.data.splits.kinds import FILE, RULES, SPLITS, SplitChoice, names_a_file
from gocell_cli.training.evaluation.tails import tails_of
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.typed_file import Malformed, parse_toml, read_small, toml_value

RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "ma2018": {
        "norm_order": "tanh-bn", "gene_weights": "own", "own_decay": 0.0, "auxiliary": "sum", "alpha": 0.3,
        "init_range": 0.001, "min_width": 20, "ratio": 0.3, "epochs": 20, "batch_size": 256, "lr": 3e-3,
        "scheduler": "cosine", "patience": 0,
    },
    "torchcell": {
        "norm_order": "bn-tanh", "gene_weights": "own", "own_decay": 0.0, "auxiliary": "mean", "alpha": 0.3,
        "init_range": 0.001, "min_width": 20, "ratio": 0.3, "epochs": 20, "batch_size": 256, "lr": 1e-4,
        "weight_decay": 1e-6, "clip": 10.0, "scheduler": "plateau", "min_lr": 1e-9, "patience": 0,
        "bn_eval": "running",
    },
}  # fmt: skip
"""Settings by name, over the defaults. `ma2018` is what Ma et al. 2018 (doi:10.1038/nmeth.4627) say of the network and
its loss; of batches, rate and epochs they say nothing that fits a screen's few samples, and these are what gocell's
default was before. `torchcell`: dcell_kuzmin2018_tmi.yaml of Mjvolk3/torchcell, and the mean of its loss over terms."""
CHOICES: dict[str, tuple[str, ...]] = {
    "loss": ("auto", "mse", "bce"),
    "auxiliary": ("sum", "mean"),
    "scheduler": ("constant", "cosine", "plateau"),
    "bn_eval": ("population", "running"),
    "precision": ("32-true", "tf32", "bf16-mixed", "64-true"),
    "device": ("auto", "cpu", "cuda"),
    "form": ("auto", "delta", "dense"),
    "control": ("", "genes", "edges", "dag"),
    "recipe": ("", *RECIPES),
    "wide": ("auto", "none"),
    "neighbours": ("auto", "none"),
    "encoder": ("auto", "none"),
}
NARROW, WIDE, MANY = 6, 20, 1_000_000
"""Least neurons of a term where min_width is 0: NARROW up to MANY training samples, the paper's WIDE beyond."""
LEAST = {
    "epochs": 1, "batch_size": 2, "accumulate": 1, "population_samples": 2, "min_width": 0, "patience": 0, "seed": 0,
    "min_lr": 0, "overfit": 0,
    "weight_decay": 0, "own_decay": 0, "l2": 0, "clip": 0, "alpha": 0, "ratio": 0, "split_seed": -1,
    "validation_seed": -1, "subset": 0,
    "control_seed": 0, "top_width": 0, "top_strata": 1, "products": 0, "learnt_vectors": 0,
}  # fmt: skip
ABOVE_ZERO = ("lr", "init_range")
MOST_COUNT = 2**63 - 1
"""What torch's generators take as a seed, NumPy's as well, and what either can count."""
MOST_NUMBER = 1e30
"""A setting that is larger, times a gradient or a loss, is no number of float32's (up to 3e38) any more."""
MOST_BYTES = 1 << 20
"""Of a file of settings, which has a line for each."""
SHOWN = 80
"""Letters of a value that a message repeats."""


@dataclass(frozen=True)
class RunConfig:
    """A run's settings, all of plain types. The network's own are described in DCellConfig.

    split: a kind, or the path of a file that names the parts (`split_column` its column), or of a run. fractions:
    train, validation and test. accumulate: batches whose gradients, weighted by samples, make one step of the
    weights; each batch is normalised by itself, so that it is the step of one large batch but for BatchNorm, which sees
    batch_size samples at a time. split_seed: -1 is `seed`. folds, fold, subset, validation_seed: as in SplitChoice.
    split_rule: 2; runs of before it was recorded have 1. clip: largest gradient norm (0: off). patience: epochs
    without a better validation loss before training stops (0: never). min_lr: where cosine ends, and plateau stops
    halving.
    own_decay: decoupled decay of the genes' own columns alone, which with gene_weights = deviation is towards their
    term's direction.
    loss: `auto` is bce for viability and mse else. population_samples: training samples that BatchNorm's population
    statistics are taken over between epochs (checkpoints and the final figures take all of them).
    recipe: what was set by name before all else (RECIPES); the settings that came of it stand beside it. "" in runs of
    before there were recipes. min_width: 0 is by the number of training samples (NARROW, WIDE), put in place when a
    run begins. gene_weights, term_dropout, top_width, top_strata, products, learnt_vectors: see DCellConfig.
    form: `delta` computes only what deletions touch, `dense` everything, `auto` takes the faster for each batch; the
    numbers are the same. precision: of a training step; `tf32` and `bf16-mixed` take products of fewer bits (on a GPU;
    sums, statistics and all that is measured stay float32). wandb: a Weights & Biases project to log to as well.
    baselines: default (those that cost less than training), all, none, or names.
    wide, neighbours, encoder: `none` leaves that voice out; without all of them a run predicts by its network alone.
    The encoder is left out by default: what it adds to the blend was within 0.001 of r (docs/howto/voices.md).
    gene_vectors: files of numbers of genes (training/data/gene_vectors.py), which the run keeps as it read them.
    control: the network lies over a control of the hierarchy (gocell_cli/controls.py), drawn
    by `control_seed`; its baselines, which see the hierarchy as it is, are none by default.
    warm_start: the run whose weights it begins with, term by term (training/runs/warm_start.py); "": the seed's.
    phenotype: which of a cache's several phenotypes; "" is its first, or its only one; A,B: one network of both, with a
    head each in every term. phenotype_weights: of each in the loss, W,W; "": all alike (network/loss.py).
    overfit: so many training samples, drawn by the seed, on which all is trained and judged: a check of a pipeline,
    whose loss goes to what noise between samples of one genotype leaves; no voices and no test (0: off).
    tails: scores that count as interactions, LOW,HIGH; `auto` as published for s_score, tau and epsilon, else none.
    """

    epochs: int = 100
    batch_size: int = 800
    accumulate: int = 1
    lr: float = 3e-3
    min_lr: float = 1e-5
    weight_decay: float = 0.0
    own_decay: float = 3.0
    l2: float = 0.0
    clip: float = 1.0
    scheduler: str = "plateau"
    patience: int = 10
    split: str = "random"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = -1
    validation_seed: int = -1
    folds: int = 0
    fold: int = 0
    subset: int = 0
    split_column: str = ""
    split_rule: int = RULES[-1]
    seed: int = 0
    device: str = "auto"
    precision: str = "32-true"
    loss: str = "auto"
    auxiliary: str = "sum"
    alpha: float = 0.3
    bn_eval: str = "population"
    population_samples: int = 4096
    norm_order: str = "tanh-bn"
    gene_weights: str = "deviation"
    term_dropout: float = 0.0
    init_range: float = 0.001
    min_width: int = 0
    ratio: float = 0.3
    top_width: int = 0
    top_strata: int = 3
    products: int = 0
    learnt_vectors: int = 0
    form: str = "auto"
    wandb: str = ""
    baselines: str = "default"
    tails: str = "auto"
    wide: str = "auto"
    neighbours: str = "auto"
    encoder: str = "none"
    gene_vectors: tuple[str, ...] = ()
    control: str = ""
    control_seed: int = 0
    recipe: str = "default"
    warm_start: str = ""
    overfit: int = 0
    phenotype: str = ""
    phenotype_weights: str = ""

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                shown = repr(getattr(self, name))[:SHOWN]
                raise UsageError(
                    f"{name} is {shown}, which is none", hint=f"one of: {', '.join(filter(None, allowed))}"
                )
        chosen_names(self.baselines)
        tails_of(self.tails, "")
        self.weights_of(max(1, self.phenotype_weights.count(",") + 1))
        for f in fields(self):
            self._check_number(f.name)
        if self.split not in SPLITS and not names_a_file(self.split):
            hint = f"one of: {', '.join(SPLITS)}; or a file: ./{self.split[:SHOWN]}"
            raise UsageError(f"split is {self.split[:SHOWN]!r}, which is none", hint=hint)
        if self.split_column and not names_a_file(self.split):
            raise UsageError("split_column is a column of a file", hint="--split FILE --split-column NAME")
        if self.gene_vectors and self.wide == "none" and not self.network("direct").from_wild_type:
            hint = "leave out wide=none; or --set gene_weights=deviation"
            raise UsageError("gene vectors would be told to nobody: no wide part, and not the network", hint=hint)
        if self.products and self.precision == "bf16-mixed":
            raise UsageError("products run in no precision of bf16", hint="--precision 32-true, or tf32")
        if self.control_seed and not self.control:
            raise UsageError("control_seed draws a control", hint="--set control=genes, edges or dag")
        if self.l2 and self.weight_decay:
            raise UsageError("l2 and weight_decay would both shrink the weights", hint="set one to 0")
        self.split_choice()
        self.network("direct")  # what they refuse is refused here, before a directory is taken

    def split_choice(self) -> SplitChoice:
        """What decides the split."""
        return SplitChoice(
            FILE if names_a_file(self.split) else self.split,
            self.fractions,
            self.seed if self.split_seed < 0 else self.split_seed,
            self.folds,
            self.fold,
            self.subset,
            self.split_rule,
            self.validation_seed,
        )

    def _check_number(self, name: str) -> None:
        """Raise UsageError for a number that is not finite or out of its range: torch would only say so much later."""
        value = getattr(self, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
            raise UsageError(f"{name} is {value}, not a finite number", hint=f"its default is {DEFAULTS[name]}")
        if name in ABOVE_ZERO and value <= 0:
            raise UsageError(f"{name} is {value} and must be above 0", hint=f"its default is {DEFAULTS[name]}")
        if name in LEAST and value < LEAST[name]:
            raise UsageError(f"{name} is {value}", hint=f"at least {LEAST[name]}")
        if isinstance(value, int) and value > MOST_COUNT:
            raise UsageError(f"{name} is {str(value)[:40]}", hint=f"at most {MOST_COUNT}")
        if isinstance(value, float) and value > MOST_NUMBER:
            raise UsageError(f"{name} is {value:g}", hint=f"at most {MOST_NUMBER:g}; its default is {DEFAULTS[name]}")

    def phenotypes(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """Return which of a cache's phenotypes, called `kinds`, are asked for; names are not checked."""
        if not self.phenotype or self.phenotype in kinds:
            return (self.phenotype or kinds[0],)
        return tuple(dict.fromkeys(name.strip() for name in self.phenotype.split(",")))

    def weights_of(self, phenotypes: int) -> tuple[float, ...]:
        """Return the weights of so many phenotypes in the loss, of sum 1; raises UsageError where they are none."""
        words = self.phenotype_weights.split(",") if self.phenotype_weights else ["1"] * phenotypes
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        if len(found) != phenotypes or not all(math.isfinite(x) and x > 0 for x in found):
            raise UsageError(
                f"phenotype_weights is {self.phenotype_weights[:SHOWN]!r}, not {phenotypes} numbers above 0",
                hint=f"--set phenotype_weights={','.join(['1'] * phenotypes)}; or leave it out",
            )
        return tuple(x / sum(found) for x in found)

    def network(self, width_by: str, phenotypes: int = 1) -> DCellConfig:
        """The network's settings; widths count what the cache's preset says. A head a phenotype in each term."""
        return DCellConfig(
            width_by, self.min_width or NARROW, self.ratio, self.norm_order, self.init_range, self.alpha,
            self.gene_weights, form=self.form, term_dropout=self.term_dropout,
            top_width=self.top_width, top_strata=self.top_strata, products=self.products,
            learnt_vectors=self.learnt_vectors, phenotypes=phenotypes,
        )  # fmt: skip

    def for_samples(self, training: int) -> "RunConfig":
        """Return the settings with a least width in place of 0, by the number of training samples."""
        return self if self.min_width else replace(self, min_width=NARROW if training <= MANY else WIDE)

    def changed(self, changes: Mapping[str, Any], where: str = "") -> "RunConfig":
        """Return the config with some settings replaced; raises UsageError for an unknown name or a wrong type."""
        known = {f.name: f.type for f in fields(self)}
        found: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                hint = did_you_mean(name, known, otherwise=f"there are: {', '.join(known)}")
                raise UsageError(f"{where}no setting {name[:SHOWN]!r}", hint=hint)
            default = getattr(self, name)
            taken = _like(value, default)
            # not isinstance: True is an int, and no number of epochs
            if type(taken) is not type(default):
                said = f"{where}{name} is {repr(value)[:SHOWN]}, not like {default!r}"
                raise UsageError(said, hint=f"--set {name}={toml_value(default)} is its default")
            found[name] = taken
        return replace(self, **found)

    def to_toml(self) -> str:
        """Return the settings as TOML, which `read_config` reads back as the same."""
        return "".join(f"{name} = {toml_value(value)}\n" for name, value in asdict(self).items())


DEFAULTS = {f.name: f.default for f in fields(RunConfig)}
BEFORE: dict[str, Any] = {"split_rule": RULES[0], "own_decay": 0.0, "recipe": ""}
"""What a run's file that does not name a setting was trained with: it is of before there was such a setting."""


def _like(value: Any, default: Any) -> Any:
    """Return a value as the setting holds it, where TOML has no word for that; else the value itself."""
    try:
        if isinstance(default, float) and type(value) is int:
            return float(value)  # TOML's 1 where 1.0 is meant
        if isinstance(default, tuple) and isinstance(value, list) and _are_numbers(value, len(default)):
            return tuple(map(float, value))  # TOML knows arrays only
        if _are_words(default) and isinstance(value, list) and all(type(item) is str for item in value):
            return tuple(value)
        if isinstance(value, str):
            value.encode()
    except (OverflowError, UnicodeEncodeError):
        return None  # a number that no float holds, bytes of a command line that are no text
    return value


def _are_words(default: Any) -> bool:
    """Whether a setting is a list of texts, which is empty by default."""
    return isinstance(default, tuple) and all(type(item) is str for item in default)


def _are_numbers(values: list[Any], count: int) -> bool:
    return len(values) == count and all(type(value) in (int, float) for value in values)


def read_config(path: Path, base: RunConfig | None = None) -> RunConfig:
    """Return `base` (default: the defaults) as changed by a TOML file.

    Raises SourceMissing where it cannot be read, InvalidInput where it is not TOML, UsageError where it sets what is
    not there.
    """
    try:
        changes = parse_toml(read_small(path, MOST_BYTES))
    except OSError as error:
        raise SourceMissing.of(path, error, hint="a run's own config.toml is such a file") from error
    except Malformed as error:
        raise InvalidInput(f"{path}: not TOML: {error}", hint="a run's own config.toml is such a file") from error
    return (base or RunConfig()).changed(changes, where=f"{path}: ")


def run_config(directory: Path) -> RunConfig:
    """Return a run's settings; raises DamagedCache where they are none, for nobody asked for them just now."""
    try:
        return read_config(directory / CONFIG, RunConfig(**BEFORE))
    except SourceMissing as error:
        raise DamagedCache(
            error.message, why=error.why, hint="check who may read it, or train the run again"
        ) from error
    except (UsageError, InvalidInput) as error:
        raise DamagedCache(error.message, why=error.why, hint=error.hint or "train the run again") from error


def resolve(
    flags: Mapping[str, Any], standing: Collection[str], file: Path | None, settings: Sequence[str]
) -> RunConfig:
    """Return the settings in effect: flags over `settings` (NAME=VALUE) over a file over standing flags over defaults.

    `standing` names the flags that nobody typed: they come from a variable or a settings file, which any more
    deliberate word beats. The path of a split's file is relative to the TOML file's folder where that names it.
    """
    base = _recipe(flags, standing, file, settings).changed({name: flags[name] for name in standing})
    base = _placed(read_config(file, base), base, file.parent) if file is not None else base
    typed = {name: value for name, value in flags.items() if name not in standing}
    return _placed(base.changed(parse_settings(settings)), base, Path()).changed(typed)


def resolve_again(config: RunConfig, typed: Mapping[str, Any], file: Path | None, settings: Sequence[str]) -> RunConfig:
    """Return the settings of a run that is gone on with, and what a command line says of them put over them.

    A recipe counts by its name alone: what it set stands in the run's settings. A width that is left to the samples (0)
    is the one that was found.
    """
    asked = _placed(read_config(file, config), config, file.parent) if file is not None else config
    asked = _placed(asked.changed(parse_settings(settings)), asked, Path()).changed(typed)
    return asked if asked.min_width else replace(asked, min_width=config.min_width)


def _recipe(
    flags: Mapping[str, Any], standing: Collection[str], file: Path | None, settings: Sequence[str]
) -> RunConfig:
    """Return the settings of the recipe that is named by whoever wins, as `resolve` says; all others go over it."""
    named = {name: flags[name] for name in ("recipe",) if name in flags}
    ways = [named if "recipe" in standing else {}, _of_file(file), parse_settings(settings)]
    ways.append({} if "recipe" in standing else named)
    name = [way["recipe"] for way in ways if "recipe" in way][-1:] or ["default"]
    # as a setting of its own first, which refuses a name of none
    return RunConfig().changed({"recipe": name[0]}).changed(RECIPES.get(str(name[0]), {}))


def _of_file(file: Path | None) -> dict[str, Any]:
    """What a file of settings says; nothing for one that is none, which `read_config` refuses."""
    try:
        return parse_toml(read_small(file, MOST_BYTES)) if file is not None else {}
    except (Malformed, OSError):
        return {}


def named_settings(file: Path | None, settings: Sequence[str]) -> set[str]:
    """Return the names of what a TOML file and NAME=VALUE set; both have been found to be good."""
    of_file = parse_toml(read_small(file, MOST_BYTES)) if file is not None else {}
    return {*of_file, *parse_settings(settings)}


def _placed(config: RunConfig, before: RunConfig, folder: Path) -> RunConfig:
    """Return the config with the paths that `before` has not, of a split, vectors and a run: relative to a folder."""
    if config.gene_vectors != before.gene_vectors:
        whole = tuple(os.path.abspath(folder / path) for path in config.gene_vectors)  # noqa: PTH100 as below
        config = replace(config, gene_vectors=whole)
    if config.warm_start and config.warm_start != before.warm_start:
        config = replace(config, warm_start=os.path.abspath(folder / config.warm_start))  # noqa: PTH100 as below
    if config.split == before.split or not names_a_file(config.split):
        return config
    return replace(config, split=os.path.abspath(folder / config.split))  # noqa: PTH100 resolve() would follow links


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Parse NAME=VALUE; a value that is no TOML is taken as a word, so that --set split=query needs no quotes."""
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: no NAME=VALUE", hint="--set gene_weights=shared")
        try:
            parsed = parse_toml(f"value = {value}".encode())
        except (Malformed, UnicodeEncodeError):
            parsed = {"value": value}
        # a line break in it would set another thing besides
        found[name] = parsed["value"] if parsed.keys() == {"value"} else value
    return found
