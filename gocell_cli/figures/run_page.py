"""A run's report: what it was asked, how it learned, what it is worth beside its baselines."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from gocell_cli.figures.cache_page import cache_sections
from gocell_cli.figures.page import Page, PageTable, Picture, Section
from gocell_cli.figures.run_figures import figure_name
from gocell_cli.run_record import (
    CONFIG,
    RECORD,
    SLICES,
    EpochRecord,
    Numbers,
    RunRecord,
    damaged_run,
    read_metrics,
    read_record,
    side_by_side,
    words_beside_singles,
)
from gocell_cli.storage.reader import Cache
from gocell_cli.typed_file import parse_toml, read_small

MOST_CONFIG = 1 << 20
"""Bytes of config.toml, which has a line a setting."""
CAPTIONS = {
    "loss": "Loss of the root term by epoch",
    "predicted_against_true": "Predicted against measured phenotypes of the test part",
    "distributions": "Distributions of predicted and measured phenotypes of the test part",
    "error_per_split": "Root mean squared error of each part of the split",
    "learning_rate": "Learning rate by epoch",
    "terms": "Terms that lead: what their neurons know of the phenotype",
    "rlipp": "RLIPP: how much better a term's neurons predict than its children's",
    "effect": "Terms that the explained deletion changes most",
}
BROAD = ("predicted_against_true", "terms", "effect", "rlipp")
"""Figures of several panels, or of names in full."""
MANY_DIGITS = 1e9
SHOWN = (
    *("n", "pearson", "spearman", "r2", "rmse", "mae", "auroc", "average_precision", "wasserstein"),
    *(f"{name}_pearson" for name in SLICES),
)


def is_run(directory: Path) -> bool:
    """Return whether a run has been begun here."""
    return (directory / RECORD).is_file()


def run_page(directory: Path) -> Page:
    """Return the report of a run, finished or not, and of its cache where that is still there.

    Needs no torch: it reads run.json, config.toml, metrics.jsonl and figures/*.png. Raises DamagedCache where one
    of them cannot be read.
    """
    record, history = read_record(directory), read_metrics(directory)
    with damaged_run(directory / CONFIG):
        config = parse_toml(read_small(directory / CONFIG, MOST_CONFIG))
    return Page(
        title=directory.resolve().name,
        made=f"A DCell trained by gocell on the cache {Path(record.cache).name}, fingerprint {record.fingerprint}",
        facts=(*_facts(record, history), *_control(config)),
        sections=(
            *(_results(record.of_phenotype(kind), named=len(record.kinds) > 1) for kind in record.kinds),
            _learning(directory, history, record.kinds),
            _settings(record, config),
            *_cache(record),
        ),
    )


def _facts(record: RunRecord, history: Sequence[EpochRecord]) -> tuple[tuple[str, str], ...]:
    facts = [
        ("epochs", str(len(history))),
        ("parameters", f"{record.parameters:,}"),
        ("phenotype" if len(record.kinds) == 1 else "phenotypes", ", ".join(record.kinds)),
        ("split", record.split.kind),
    ]
    for kind in record.kinds:
        facts += _test_facts(record.of_phenotype(kind), f"{kind}, " if len(record.kinds) > 1 else "")
    return tuple(facts)


def _test_facts(record: RunRecord, of: str) -> list[tuple[str, str]]:
    test = record.results["test"] if record.results is not None else None
    voices = side_by_side(test.voices, test.metrics, {}).items() if test is not None else ()
    facts = []
    for who, metrics in voices:
        if who.startswith("without_"):  # of these the results below tell
            continue
        shown = [name for name in ("pearson", "auroc") if metrics.get(name) is not None]
        facts += [(f"test {name}, {of}{who}", _number(metrics[name])) for name in shown]
    return facts


def _control(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a reader must not miss: that the network lies over no GO, that there is no test part."""
    kind, samples = config.get("control"), config.get("overfit")
    control = (("control of the hierarchy", f"{kind}, seed {config.get('control_seed', 0)}"),) if kind else ()
    overfit = (("overfitted on purpose", f"{samples:,} samples train, validate and test it"),) if samples else ()
    return (*control, *overfit)


def _results(record: RunRecord, *, named: bool) -> Section:
    """What a run reached; `named`: of one of its several phenotypes, which the title says."""
    title = f"Results: {record.kind}" if named else "Results"
    if record.results is None:
        text = "This run is not finished: gocell train --resume --out RUN goes on with it."
        return Section(title, text)
    tables = []
    # The test part first.
    for part, result in sorted(record.results.items(), key=lambda item: item[0] != "test"):
        predictors = side_by_side(result.voices, result.metrics, result.baselines)
        shown = [name for name in SHOWN if name in result.metrics]
        costs = {who: _number(fitting.seconds) for who, fitting in (result.fitting or {}).items()}
        rows = tuple(
            (who, *(_number(values.get(name)) for name in shown), costs.get(who, "-"))
            for who, values in predictors.items()
        )
        headings = (_heading(name, result.metrics) for name in shown)
        tables.append(PageTable(part, ("", *headings, "s to fit"), rows, right=tuple(range(1, len(shown) + 2))))
    left_out = [(who, fitting.reason) for who, fitting in (record.results["test"].fitting or {}).items()]
    tables.append(PageTable("Baselines left out", (), tuple((who, why) for who, why in left_out if why is not None)))
    test = record.results["test"]
    text = "Baselines are fitted on the same training part."
    for told in words_beside_singles(test.metrics, test.voices or {}, test.baselines, int(test.metrics["n"] or 0)):
        text += f" {told[0].upper()}{told[1:]}."
    if test.dcell_adds is not None:
        text += f" {test.dcell_adds.says()}."
    if test.ceiling is not None:
        text += f" Noise lets no model correlate better than {test.ceiling:.4f} ({test.ceiling_method or 'simulated'})."
    return Section(title, text, tuple(tables))


def _heading(name: str, metrics: Numbers) -> str:
    """A metric's name; of a slice `single r (n 103)`, as `train` calls it."""
    part = name.removesuffix("_pearson")
    count = metrics.get(f"{part}_n")
    return name.replace("_", " ") if count is None else f"{part.replace('_', ' ')} r (n {count:,})"


def _number(value: int | float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    # a large error of a phenotype in large units would be a line of digits
    return f"{value:.4f}" if abs(value) < MANY_DIGITS else f"{value:.4g}"


def _learning(directory: Path, history: Sequence[EpochRecord], kinds: Sequence[str]) -> Section:
    several = len(kinds) > 1
    tables = [_epochs(f"Epoch by epoch: {len(history):,} epochs", history)]
    tables += [_epochs(f"{kind}, epoch by epoch", history, kind) for kind in (kinds if several else ())]
    text = "The loss is that of all phenotypes by their weights, r the mean of theirs." if several else ""
    pictures = []
    for number, kind in enumerate(kinds):
        for name, caption in CAPTIONS.items():
            path = directory / "figures" / f"{figure_name(name, number)}.png"
            if path.exists():
                said = f"{kind}: {caption}" if several else caption
                with damaged_run(path, hint=f"rm {path}; a report does without it"):
                    pictures.append(Picture.of_png(said, path, wide=name in BROAD))
    return Section("Learning", text, tuple(tables), tuple(pictures))


def _epochs(title: str, history: Sequence[EpochRecord], phenotype: str = "") -> PageTable:
    """A row an epoch: losses and r, of one of several phenotypes where it is named."""
    rows = []
    for line in history:
        own = (line.phenotypes or {}).get(phenotype, {"train": line.train, "validation": line.validation})
        numbers = [_number(own[part].get(n)) for part in ("train", "validation") for n in ("loss_root", "pearson")]
        rows.append((str(line.epoch + 1), f"{line.learning_rate:.2e}", *numbers))
    columns = ("epoch", "learning rate", "loss", "r", "validation loss", "validation r")
    return PageTable(title, columns, tuple(rows), right=tuple(range(6)), folded=True)


def _settings(record: RunRecord, config: Mapping[str, Any]) -> Section:
    split = tuple((name.replace("_", " "), _plain(value)) for name, value in asdict(record.split).items())
    settings = tuple((name, _plain(value)) for name, value in config.items())
    tables = (("Split", split), ("Every setting of the run", settings))
    return Section("Settings", "", tuple(PageTable(title, (), rows, folded=True) for title, rows in tables))


def _plain(value: Any) -> str:
    """A setting as the page shows it: of a path its name alone, for a page is sent around and folders are private."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "-"
    text = "-" if value in (None, "") else str(value)
    return PurePath(text).name if isinstance(value, str) and os.sep in text else text


def _cache(record: RunRecord) -> tuple[Section, ...]:
    """The report of the run's cache; a section that says so where it is gone or another one now."""
    directory = Path(record.cache)
    if not directory.is_dir():
        return (Section("Cache", f"{directory.name} is not here any more."),)
    cache = Cache(directory)
    # The directory may have been built anew since: the figures of another cache would say nothing of this run.
    if cache.manifest.fingerprint != record.fingerprint:
        return (Section("Cache", f"{directory.name} is another cache now, fingerprint {cache.manifest.fingerprint}."),)
    return cache_sections(cache)
