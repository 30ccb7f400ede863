"""A run's report: what it was asked, how it learned, what it is worth beside its baselines."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gocell_cli.errors import DamagedCache
from gocell_cli.figures.cache_page import cache_sections
from gocell_cli.figures.page import Page, PageTable, Picture, Section
from gocell_cli.storage.reader import Cache

RECORD, CONFIG, METRICS = "run.json", "config.toml", "metrics.jsonl"
CAPTIONS = {
    "loss": "Loss of the root term by epoch",
    "predicted_against_true": "Predicted against true phenotypes of the test part",
    "distributions": "Distributions of predicted and true phenotypes of the test part",
    "error_per_split": "Root mean squared error of each part of the split",
    "learning_rate": "Learning rate by epoch",
    "rlipp": "RLIPP: how much better a term's neurons predict than its children's",
    "effect": "Terms that the explained deletion changes most",
}
SHOWN = ("n", "pearson", "spearman", "r2", "rmse", "mae", "auroc", "average_precision", "wasserstein")


def is_run(directory: Path) -> bool:
    """Return whether a run has been begun here."""
    return (directory / RECORD).is_file()


def run_page(directory: Path) -> Page:
    """Return the report of a run, finished or not, and of its cache where that is still there.

    Needs no torch: it reads run.json, config.toml, metrics.jsonl and figures/*.png. Raises DamagedCache where one
    of them cannot be read.
    """
    try:
        record: dict[str, Any] = json.loads((directory / RECORD).read_text("utf-8"))
        config = tomllib.loads((directory / CONFIG).read_text("utf-8"))
        lines = _text(directory / METRICS).splitlines()
        history: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return Page(
            title=directory.resolve().name,
            made=f"A DCell trained by gocell on {record['cache']}, fingerprint {record['fingerprint']}",
            facts=_facts(record, history),
            sections=(_results(record), _learning(directory, history), _settings(record, config), *_cache(record)),
        )
    except (OSError, ValueError, KeyError) as error:
        raise DamagedCache(f"{directory}: this run cannot be read: {error!r}", hint="train it again") from error


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def _facts(record: Mapping[str, Any], history: list[dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    facts = [
        ("epochs", str(len(history))),
        ("parameters", f"{record['parameters']:,}"),
        ("phenotype", str(record["phenotype"]["kind"])),
        ("split", str(record["split"]["kind"])),
    ]
    test = record.get("results", {}).get("test", {}).get("metrics", {})
    facts += [(f"test {name}", _number(test[name])) for name in ("pearson", "auroc") if test.get(name) is not None]
    return tuple(facts)


def _results(record: Mapping[str, Any]) -> Section:
    if "results" not in record:
        text = "This run is not finished: gocell train --resume --out RUN goes on with it."
        return Section("Results", text)
    tables = []
    # The test part first.
    for part, result in sorted(record["results"].items(), key=lambda item: item[0] != "test"):
        predictors = {"DCell": result["metrics"], **result["baselines"]}
        shown = [name for name in SHOWN if name in result["metrics"]]
        rows = tuple((who, *(_number(values.get(name)) for name in shown)) for who, values in predictors.items())
        tables.append(PageTable(part, ("", *shown), rows, right=tuple(range(1, len(shown) + 1))))
    ceiling = record["results"]["test"].get("ceiling")
    text = "Baselines are fitted on the same training part." + (
        f" No model correlates better than {ceiling:.4f} with these simulated phenotypes: the rest is noise."
        if ceiling is not None
        else ""
    )
    return Section("Results", text, tuple(tables))


def _number(value: int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _learning(directory: Path, history: list[dict[str, Any]]) -> Section:
    rows = tuple(
        (
            str(line["epoch"] + 1),
            f"{line['learning_rate']:.2e}",
            *(_number(line[part].get(name)) for part in ("train", "validation") for name in ("loss_root", "pearson")),
        )
        for line in history
    )
    columns = ("epoch", "learning rate", "loss", "r", "validation loss", "validation r")
    pictures = [
        Picture.of_png(caption, directory / "figures" / f"{name}.png")
        for name, caption in CAPTIONS.items()
        if (directory / "figures" / f"{name}.png").is_file()
    ]
    return Section("Learning", "", (PageTable("", columns, rows, right=tuple(range(6))),), tuple(pictures))


def _settings(record: Mapping[str, Any], config: Mapping[str, Any]) -> Section:
    split = tuple((name.replace("_", " "), _plain(value)) for name, value in record["split"].items())
    settings = tuple((name, _plain(value)) for name, value in config.items())
    return Section("Settings", "", (PageTable("Split", (), split), PageTable("Run", (), settings)))


def _plain(value: Any) -> str:
    return "-" if value is None else str(value)


def _cache(record: Mapping[str, Any]) -> tuple[Section, ...]:
    """The report of the run's cache; a section that says so where it is gone or another one now."""
    directory = Path(record["cache"])
    if not directory.is_dir():
        return (Section("Cache", f"{directory} is not here any more."),)
    cache = Cache(directory)
    # The directory may have been built anew since: the figures of another cache would say nothing of this run.
    if cache.manifest.fingerprint != record["fingerprint"]:
        return (Section("Cache", f"{directory} is another cache now, fingerprint {cache.manifest.fingerprint}."),)
    return cache_sections(cache)
