"""What a run says of itself, as types: run.json and metrics.jsonl, which the trainer writes and the report reads.

Both are held to these types when they are opened (`typed_file.py`); what does not fit is a damaged run, whatever was
done to it. Runs of before an entry was there lack it: it is None.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gocell_cli.errors import DamagedCache, UsageError, did_you_mean
from gocell_cli.file_record import FileRecord, place_recorded, recorded_place
from gocell_cli.level_directions import DIRECTIONS
from gocell_cli.typed_file import Malformed, json_text, parse_json, read_small

CONFIG, RECORD, METRICS = "config.toml", "run.json", "metrics.jsonl"
MOST_RECORD, MOST_METRICS = 1 << 24, 1 << 29
"""Bytes: a record is some kilobytes, and a line of metrics 1.5, of which 100,000 epochs have 150 MB."""
AGAIN = "train it again: gocell train --out DIR"

ORDERS = {1: "single", 2: "double", 3: "triple"}
"""What metrics of samples with so many deletions are called: `single_pearson`."""
UNSEEN = {0: "all_seen", 1: "one_unseen", 2: "more_unseen"}
"""And of samples with so many genes, 2 or more, that no training sample deletes."""
SLICES = (*ORDERS.values(), *UNSEEN.values())

Numbers = dict[str, int | float | None]
"""Metrics by name; None where the samples do not define one."""
Metrics = TypeVar("Metrics", bound=Mapping[str, Any])


@dataclass(frozen=True)
class FileMatchRecord:
    """How a split's file fits the cache: `FileMatch` of training/data/splits/split.py, which says what they mean."""

    path: str
    not_in_cache: int
    not_named: int
    validation_drawn: bool


@dataclass(frozen=True)
class SplitRecord:
    """How samples were divided, and what the test part has in common with training.

    seed: the split's own. dropped: samples in no part; unused: training samples that `subset` leaves out; in train,
    validation and test are the others. test_groups_in_train is the share, test_with_known_group the number of test
    samples whose query group trains (None: no groups); test_with_new_gene delete a gene never deleted in training;
    test_with_known_pair delete a pair of genes that a training sample deletes (None: none has more than two), and
    test_with_known_genotype are of a genotype that trains. groups: of each part, in a split by query. fingerprint: of
    which genotypes are where, the same in every cache.
    """

    kind: str
    seed: int
    train: int
    validation: int
    test: int
    dropped: int
    test_groups_in_train: float | None
    test_with_new_gene: int
    rule: int = 1
    test_with_known_group: int | None = None
    test_with_known_pair: int | None = None
    test_with_known_genotype: int | None = None
    groups: dict[str, int] | None = None
    fractions: tuple[float, float, float] | None = None
    folds: int | None = None
    fold: int | None = None
    subset: int | None = None
    unused: int = 0
    fingerprint: str | None = None
    file: FileMatchRecord | None = None

    def __post_init__(self) -> None:
        counts = (self.train, self.validation, self.test, self.dropped, self.test_with_new_gene, self.unused)
        if min(counts) < 0:
            raise ValueError("a number of samples is below 0")


@dataclass(frozen=True)
class LabelRecord:
    """How labels were standardised: training/data/labels.py."""

    mean: float
    sd: float
    logits: bool

    def __post_init__(self) -> None:
        if self.sd <= 0:
            raise ValueError("sd is not above 0")


@dataclass(frozen=True)
class LayoutRecord:
    """By what levels the network ran, and which genes its widths count."""

    level_by: str
    width_by: str

    def __post_init__(self) -> None:
        if self.width_by not in ("direct", "contained"):
            raise ValueError("width_by is neither direct nor contained")


@dataclass(frozen=True)
class HierarchyRecord:
    """The hierarchy that the run keeps, so that it predicts without its cache: files copied from there."""

    level_by: str
    level_direction: str
    files: tuple[FileRecord, ...]

    def __post_init__(self) -> None:
        if self.level_direction not in DIRECTIONS:
            raise ValueError(f"level_direction is neither {' nor '.join(DIRECTIONS)}")
        if not self.files:
            raise ValueError("no file of its hierarchy is recorded")


@dataclass(frozen=True)
class VectorSourceRecord:
    """A file of gene vectors: its path and sha256, and how many of its rows, columns and cells were found or not.

    genes: of the cache, that it has numbers of. unnamed, unknown, ambiguous: rows that are not one gene's; repeated:
    rows of a gene that has one already, averaged.
    """

    path: str
    sha256: str
    rows: int
    columns: int
    genes: int
    unnamed: int
    unknown: int
    ambiguous: int
    repeated: int
    empty_cells: int


@dataclass(frozen=True)
class GeneVectorsRecord:
    """Gene vectors that a run keeps: the file, whence it comes, its columns, and genes without any number."""

    file: FileRecord
    sources: tuple[VectorSourceRecord, ...]
    columns: tuple[str, ...]
    missing: int


@dataclass(frozen=True)
class StrainFitnessRecord:
    """Samples whose query or array strain has a published fitness; `withheld`: why it is no feature, "" where it is.

    borrowed: of how many of these sides it is that of another strain of the gene.
    """

    samples: int
    query: int
    array: int
    borrowed: int
    withheld: str


@dataclass(frozen=True)
class FittingRecord:
    """What became of a baseline: seconds it took, settings chosen on the validation part, or why there is none."""

    seconds: float
    settings: dict[str, float]
    reason: str | None = None


@dataclass(frozen=True)
class VoiceRecord:
    """A voice of a run: what it reached on the validation part, to which it was not fitted then, or why there is none.

    weight: that in the blend of all voices, None where it is not there.
    """

    seconds: float
    settings: dict[str, float]
    validation: Numbers | None = None
    weight: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class AddsRecord:
    """By how much the blend of all voices is better, in `metric`, than the blend without the network.

    samples, groups: 95 % intervals of that, resampled over test samples, and over query groups (None: none defined).
    encoder: the network is heard as encoder as well, and the blend without it is without that too.
    """

    metric: str
    difference: float
    samples: tuple[float, float] | None
    groups: tuple[float, float] | None
    encoder: bool = False

    @property
    def something(self) -> bool:
        """Whether every interval that there is lies above 0."""
        known = [ends for ends in (self.samples, self.groups) if ends is not None]
        return bool(known) and all(low > 0 for low, _ in known)

    def says(self) -> str:
        """Return in words what the network is worth to the run's other voices."""
        ends = [("samples", self.samples), ("query groups", self.groups)]
        who, it_has = ("DCell, also as encoder,", "neither has any") if self.encoder else ("DCell", "it has no")
        if self.difference == 0 and self.samples == (0.0, 0.0):
            return f"{who} adds nothing to the other voices: {it_has} weight in their blend"
        known = [f"{both[0]:+.4f} to {both[1]:+.4f} over {what}" for what, both in ends if both is not None]
        letter = {"pearson": "r", "auroc": "AUROC"}.get(self.metric, self.metric)
        told = f"{letter} {self.difference:+.4f}, 95 % interval {', '.join(known) or 'not known'}"
        verb = "adds to" if self.something else "adds nothing that can be told from chance to"
        return f"{who} {verb} the other voices: {told}"


@dataclass(frozen=True)
class ResultRecord:
    """Metrics of one part of the split: of the network, of the baselines, and the ceiling that noise sets.

    ceiling_method: how it was found, or why there is none; of_ceiling: the metrics' r as a share of it. voices: those
    of the run's other voices and of their blend, which `predict` gives; of the test part alone, for they are fitted to
    the others. dcell_adds: what the network is worth to the blend.
    """

    split: str
    n: int
    metrics: Numbers
    baselines: dict[str, Numbers]
    fitting: dict[str, FittingRecord] | None = None
    ceiling: float | None = None
    ceiling_method: str | None = None
    of_ceiling: float | None = None
    voices: dict[str, Numbers] | None = None
    dcell_adds: AddsRecord | None = None


NETWORK, BLEND = "DCell", "blend"


def side_by_side(
    voices: Mapping[str, Metrics] | None, network: Metrics, baselines: Mapping[str, Metrics]
) -> dict[str, Metrics]:
    """Return the metrics of all predictors by name: the blend, which `predict` gives, its parts, then the baselines."""
    heard = dict(voices or {})
    first = {BLEND: heard.pop(BLEND)} if BLEND in heard else {}
    return {**first, NETWORK: network, **heard, **baselines}


SINGLE_EFFECTS = ("additive", "multiplicative")
"""Baselines that add up, or multiply, the effects of single genes."""
FEW_SAMPLES = 30
"""Fewer are too few for a claim: at 30 the 95 % interval of an r of 0.5 is 0.17 to 0.73 (Fisher's z)."""


def beside_singles(who: str, predicted: Numbers, baselines: Mapping[str, Numbers], samples: int) -> str:
    """Return in words that who predicts worse than single effects do, or that there are too few samples; else ""."""
    r = predicted.get("pearson")
    known = [x for name in SINGLE_EFFECTS if (x := baselines.get(name, {}).get("pearson")) is not None]
    few = f"{samples:,} samples are too few for a claim" if samples < FEW_SAMPLES else ""
    if r is None or not known or r >= max(known):
        return few
    then = "do not read its terms" if who == NETWORK else "single effects are the better prediction"
    told = (
        f"{who} predicts worse than adding up single effects (r {r:.2f} against {max(known):.2f}, {samples:,} samples)"
    )
    return f"{told}: {then}" + (f"; {few}" if few else "")


def words_beside_singles(
    network: Numbers, voices: Mapping[str, Numbers], baselines: Mapping[str, Numbers], samples: int
) -> tuple[str, ...]:
    """Return what is said of the network beside single effects, and of the blend, which is what `predict` gives."""
    told = beside_singles(NETWORK, network, baselines, samples)
    blend = beside_singles(f"the {BLEND}", voices.get(BLEND, {}), baselines, samples)
    # Too few samples are told of once.
    return tuple(filter(None, (told, blend if " predicts " in blend else "")))


@dataclass(frozen=True)
class ExtensionRecord:
    """A run that was told to go on: after so many epochs, to `epochs` of them, with a patience.

    differs: why it is not the run that these settings give from the start; "" where it is that run, to the bit.
    """

    after: int
    epochs: int
    patience: int
    differs: str = ""


@dataclass(frozen=True)
class WarmStartRecord:
    """The run that a run's first weights come from, and how many of each kind they are (`warm_start.py`).

    terms, links, pairs, genes, numbers: of this run's network; links are terms' children, pairs terms' direct genes.
    terms_partly: copied ones that have inputs that are not. other_width: terms of both networks, of another width
    there. terms_not_here, genes_not_here: of that run's alone. phenotype, label_mean, label_sd: what its heads predict.
    test_met_before: test samples of a genotype by which that run was trained or chosen; None where it does not say.
    """

    run: str
    terms: int
    terms_there: int
    terms_copied: int
    terms_partly: int
    other_width: int
    new_terms: int
    terms_not_here: int
    links: int
    links_copied: int
    pairs: int
    pairs_copied: int
    genes: int
    new_genes: int
    genes_not_here: int
    numbers: int
    numbers_copied: int
    phenotype: str = ""
    label_mean: float = 0.0
    label_sd: float = 1.0
    test_met_before: int | None = None


@dataclass(frozen=True)
class PhenotypeRecord:
    """What run.json says of a phenotype after the first, of a run whose one network predicts several.

    train: training samples that have it; weight: in the loss. The others are those of RunRecord.
    """

    phenotype: dict[str, str]
    nan_labels: int
    label: LabelRecord
    train: int
    weight: float
    predictions: FileRecord | None = None
    results: dict[str, ResultRecord] | None = None
    voices: dict[str, VoiceRecord] | None = None
    constant_root: dict[str, float] | None = None
    strain_fitness: StrainFitnessRecord | None = None

    def __post_init__(self) -> None:
        if "kind" not in self.phenotype:
            raise ValueError("the phenotype has no kind")
        if self.results is not None and set(self.results) != {"train", "validation", "test"}:
            raise ValueError("results are not those of train, validation and test")


OF_A_PHENOTYPE = (
    "phenotype", "nan_labels", "label", "predictions", "results", "voices", "constant_root", "strain_fitness",
)  # fmt: skip
"""Entries of RunRecord that are of one phenotype."""


@dataclass(frozen=True)
class RunRecord:
    """run.json, `cache` the whole path of what stands there.

    others: the phenotypes after the first, where one network predicts several: the entries here are the first's.
    `results`, `epochs` and `predictions`, of the test part, are there once the run is finished. constant_root: the
    parts for which the best epoch predicts next to the same of every sample, and the standard deviation of its
    predictions as a share of the labels'; None where it does so for none.
    extensions: each time that it was told to go on beyond its end; None: never.
    warm_start: where its first weights come from; None: its seed. own: its `model` and `loss` where they are not ours.
    overfit: so many samples trained, validated and tested it at once; None: it has a test part.
    """

    cache: str
    fingerprint: str
    phenotype: dict[str, str]
    datasets: tuple[str, ...]
    split: SplitRecord
    nan_labels: int
    label: LabelRecord
    parameters: int
    layout: LayoutRecord | None = None
    hierarchy: HierarchyRecord | None = None
    split_file: FileRecord | None = None
    predictions: FileRecord | None = None
    results: dict[str, ResultRecord] | None = None
    epochs: int | None = None
    voices: dict[str, VoiceRecord] | None = None
    constant_root: dict[str, float] | None = None
    gene_vectors: GeneVectorsRecord | None = None
    strain_fitness: StrainFitnessRecord | None = None
    extensions: tuple[ExtensionRecord, ...] | None = None
    warm_start: WarmStartRecord | None = None
    own: dict[str, str] | None = None
    overfit: int | None = None
    others: tuple[PhenotypeRecord, ...] | None = None

    def __post_init__(self) -> None:
        if not self.cache or "\0" in self.cache:
            raise ValueError("cache is no path")
        if "kind" not in self.phenotype:
            raise ValueError("the phenotype has no kind")
        if self.results is not None and set(self.results) != {"train", "validation", "test"}:
            raise ValueError("results are not those of train, validation and test")

    @property
    def kind(self) -> str:
        """The phenotype's name."""
        return self.phenotype["kind"]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of all its phenotypes."""
        return (self.kind, *(one.phenotype["kind"] for one in self.others or ()))

    def of_phenotype(self, kind: str) -> "RunRecord":
        """Return the record as one of its phenotypes sees it: itself for "" and its first.

        Raises UsageError for a phenotype that it has not.
        """
        if kind in ("", self.kind):
            return self
        if kind not in self.kinds:
            hint = did_you_mean(kind, self.kinds, otherwise=f"--phenotype {'|'.join(self.kinds)}")
            raise UsageError(f"this run predicts no {kind[:60]!r}", hint=hint)
        found = (self.others or ())[self.kinds.index(kind) - 1]
        return replace(self, **{name: getattr(found, name) for name in OF_A_PHENOTYPE})

    def with_phenotype(self, kind: str, **entries: Any) -> "RunRecord":
        """Return the record with entries of one of its phenotypes replaced."""
        number = self.kinds.index(kind)
        if number == 0:
            return replace(self, **entries)
        others = list(self.others or ())
        others[number - 1] = replace(others[number - 1], **entries)
        return replace(self, others=tuple(others))

    @property
    def heard(self) -> list[str]:
        """The voices that it has beside its network."""
        return [name for name, one in (self.voices or {}).items() if one.weight is not None and name != "dcell"]

    @property
    def missing(self) -> dict[str, str]:
        """The voices that it was to have and has not, and why."""
        return {name: one.reason for name, one in (self.voices or {}).items() if one.reason is not None}

    def as_json(self) -> dict[str, Any]:
        """The entries that are there."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class EpochRecord:
    """A line of metrics.jsonl: epochs count from 0, losses and metrics of both parts, seconds by kind of work.

    phenotypes: of one network of several, each one's `train` and `validation`; the line's own are then the losses of
    all together, and the mean of their r.
    """

    epoch: int
    learning_rate: float
    train: Numbers
    validation: Numbers
    seconds: dict[str, float]
    phenotypes: dict[str, dict[str, Numbers]] | None = None

    def as_json(self) -> dict[str, Any]:
        """The entries that are there."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_record(directory: Path) -> RunRecord:
    """Return run.json of a run; raises DamagedCache where it is not what a run writes."""
    path = directory / RECORD
    with damaged_run(path):
        found = parse_json(read_small(path, MOST_RECORD), RunRecord)
    return replace(found, cache=place_recorded(found.cache, directory))


def record_text(record: RunRecord, directory: Path) -> str:
    """Return what a run's run.json holds; raises Malformed for a number that is not finite."""
    return json_text({**record.as_json(), "cache": cache_from(record.cache, directory)}, indent=1) + "\n"


def cache_from(cache: str, directory: Path) -> str:
    """Return what a run or a series records of where its cache is: relative where both are of one data root.

    ROOT/runs/RUN and ROOT/caches/CACHE are, and what is deeper within them.
    """
    root = next((above.parent for above in Path(cache).parents if above.name == "caches"), Path(cache))
    return recorded_place(Path(cache), directory, root)


def read_metrics(directory: Path) -> list[EpochRecord]:
    """Return the lines of metrics.jsonl, none where it is not there yet; raises DamagedCache as `read_record` does."""
    path = directory / METRICS
    if not path.exists():
        return []
    with damaged_run(path):
        lines = [parse_json(line, EpochRecord) for line in read_small(path, MOST_METRICS).splitlines()]
        if [line.epoch for line in lines] != list(range(len(lines))):
            raise Malformed("its epochs do not count from 0 on")
    return lines


def metrics_text(history: list[dict[str, Any]]) -> str:
    """Return what metrics.jsonl holds; raises Malformed for a number that is not finite."""
    return "".join(json_text(line) + "\n" for line in history)


@contextmanager
def damaged_run(path: Path, hint: str = AGAIN) -> Iterator[None]:
    """Turn what is wrong with a file of a run, whatever it is, into DamagedCache that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedCache(f"{path}: missing from this run", hint=hint) from error
    except (OSError, Malformed) as error:
        raise DamagedCache(f"{path}: this run cannot be read: {error}", hint=hint) from error
