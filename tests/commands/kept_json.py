"""The commands whose `--json` is kept under `tests/commands/kept/`, and what of a document is kept.

A change on purpose is kept anew, from the checkout whose `gocell` is named (compare with `git diff`):

    python -m tests.commands.kept_json CHECKOUT/.venv/bin/gocell tests/commands/kept [NAME ...]
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attempts import ATTACKS

Printed = tuple[int, str, str]
"""Exit code, stdout, and what was said besides."""
SMALL = ("--min-genes", "150", "--level-by", "stratum")
"""360 terms: a network that trains in a second."""
NETWORK = ("min_width=2", "ratio=0.0", "gene_weights=shared")
TRAIN = (
    "--epochs",
    "2",
    "--batch-size",
    "64",
    "--lr",
    "0.01",
    "--device",
    "cpu",
    *(w for s in NETWORK for w in ("--set", s)),
)
TABLE = "genes\tgrowth\nYAL001C YAL002W\t0.5\nYAL002W\t0.7\nNOTAGENE\t0.1\nYAL003W VPS8\t\nYAL002W\t0.9\n"


@dataclass(frozen=True)
class Kept:
    """A command: its words (FOLDER is a temporary folder), and its exit code.

    shape: only the document's keys and types are kept. slow: run in `make attacks` alone.
    """

    name: str
    words: str
    code: int = 0
    shape: bool = False
    slow: bool = False

    @property
    def command(self) -> list[str]:
        """The words as they are given to `gocell` in FOLDER."""
        more = {"train": TRAIN, "train-series": TRAIN, "build-small": SMALL}.get(self.name, ())
        return [*self.words.split(), *more, "--json"]


def _verified() -> list[Kept]:
    """`verify-levels` by every grouping, and of every preset's hierarchy."""
    found = []
    for scope in ("ontology", "hierarchy"):
        for by in ("stratum", "height", "depth", "level"):
            slow = scope == "hierarchy" and by in ("height", "depth")
            words = f"verify-levels --by {by} --scope {scope}"
            found.append(Kept(f"verify-levels-{scope}-{by}", words, 3 if by == "level" else 0, slow=slow))
    for preset in ("torchcell", "ma2018"):
        words = f"verify-levels --by stratum --scope hierarchy --preset {preset}"
        found.append(Kept(f"verify-levels-{preset}", words, slow=preset == "ma2018"))
    return found


_ESSENTIAL = "--root FOLDER/essential"
_BUILD = f"build-cache --dataset essentiality --level-by stratum --backend both --shard-size 1000 {_ESSENTIAL}"
_TABLE = "--dataset table --raw FOLDER/own.tsv --phenotype growth --level-by stratum"
_PAIRS = "--all-pairs --genes COX3,YCR033W,YIL125W --out FOLDER/pairs.parquet"
_TRIPLES = "--all-triples --genes COX3,YCR033W,YIL125W,COX1 --top 3 --out FOLDER/triples.parquet"
_SMALL = "--root FOLDER/small"
_RUN, _SERIES = "FOLDER/small/runs/run", "FOLDER/small/runs/series"
KEPT = [
    *_verified(),
    Kept("fetch", "fetch --root FOLDER/essential"),
    Kept("dry-run", f"build-cache --dataset essentiality --level-by stratum --dry-run {_ESSENTIAL}"),
    Kept("build-essentiality", _BUILD),
    Kept("build-again", _BUILD),
    Kept("cache-info", f"cache info {_ESSENTIAL}"),
    Kept("cache-verify", f"cache verify {_ESSENTIAL}"),
    Kept("cache-ls", f"cache ls {_ESSENTIAL}"),
    Kept("cache-prune", f"cache prune --yes {_ESSENTIAL}"),
    Kept("inspect-cache", f"inspect cache {_ESSENTIAL}"),
    Kept("inspect-sample", f"inspect sample 0 {_ESSENTIAL}"),
    Kept("inspect-samples", f"inspect samples {_ESSENTIAL}"),
    Kept("inspect-samples-gene", f"inspect samples --gene COX1 {_ESSENTIAL}"),
    Kept("inspect-level", f"inspect level 2 {_ESSENTIAL}"),
    Kept("inspect-gene", f"inspect gene ACT1 {_ESSENTIAL}"),
    Kept("inspect-term", f"inspect term GO:0006281 {_ESSENTIAL}"),
    Kept("inspect-root", f"inspect term GO:ROOT {_ESSENTIAL}"),
    Kept("inspect-obsolete", f"inspect term GO:0000108 {_ESSENTIAL}"),
    Kept("inspect-terms", f"inspect terms {_ESSENTIAL}"),
    Kept("inspect-split", f"inspect split {_ESSENTIAL}"),
    Kept("plot-levels", "plot levels --out FOLDER/levels.svg --root FOLDER/essential", slow=True),
    Kept("plot-batches", "plot batches --out FOLDER/batches.svg --root FOLDER/essential"),
    Kept("plot-comparison", "plot comparison --out FOLDER/comparison.svg --root FOLDER/essential"),
    Kept("plot-cache", f"plot cache --out FOLDER/cache.svg {_ESSENTIAL}"),
    Kept("export", f"export --out FOLDER/samples.tsv {_ESSENTIAL}"),
    Kept("report-cache", f"report --out FOLDER/cache.html {_ESSENTIAL}", slow=True),
    Kept("build-table", f"build-cache {_TABLE} --root FOLDER/table"),
    Kept("inspect-table", "inspect samples --root FOLDER/table"),
    Kept("build-small", f"build-cache --dataset simulated --samples 600 --panel 40 --shard-size 250 {_SMALL}"),
    Kept("export-hierarchy", f"export --hierarchy ddot --out FOLDER/go.txt {_SMALL}"),
    Kept("cache-rebuild", f"cache rebuild {_SMALL}", slow=True),
    Kept("inspect-simulated", f"inspect sample 7 {_SMALL}"),
    Kept("config-show", "config show --all", shape=True),
    Kept("config-show-train", "config show train"),
    Kept("doctor", f"doctor {_SMALL}", shape=True),
    Kept("train", f"train {_SMALL} --out {_RUN}", shape=True),
    Kept("evaluate", f"evaluate {_RUN}", shape=True),
    Kept("evaluate-train", f"evaluate {_RUN} --split train", shape=True),
    Kept("compare", f"compare {_RUN} --resamples 100", shape=True),
    Kept("predict", f"predict {_RUN} --genes COX1,COX3 --genes YCR033W", shape=True),
    Kept("predict-input", f"predict {_RUN} --input FOLDER/own.tsv --out FOLDER/predicted.parquet", shape=True),
    Kept("predict-all-pairs", f"predict {_RUN} {_PAIRS}", shape=True),
    Kept("predict-dry-run", f"predict {_RUN} {_TRIPLES} --dry-run", shape=True),
    Kept("predict-all-triples", f"predict {_RUN} {_TRIPLES}", shape=True),
    Kept("explain", f"explain {_RUN} --samples 50", shape=True),
    Kept("explain-genes", f"explain {_RUN} --samples 50 --genes COX3", shape=True),
    Kept("report-run", f"report {_RUN} --out FOLDER/run.html", slow=True),
    Kept("train-series", f"train {_SMALL} --seeds 2 --baselines none --out {_SERIES}", shape=True, slow=True),
    Kept("evaluate-series", f"evaluate {_SERIES}", shape=True, slow=True),
    Kept("predict-series", f"predict {_SERIES} --genes COX1,COX3", shape=True, slow=True),
    Kept("explain-series", f"explain {_SERIES} --samples 50", shape=True, slow=True),
    Kept("run-ls", f"run ls {_SMALL}", shape=True),
    Kept("run-rm", f"run rm run {_SMALL} --yes"),
]  # fmt: skip

VOLATILE = {
    "seconds",
    "reading_seconds",
    "writing_seconds",
    "free_bytes",
    "memory_bytes",
    "package_version",
    "bytes",
    "sha256",
}
"""Of the machine, its clock and the versions of its libraries: only that they are there."""
FIGURES = {
    "baselines",
    "split",
    "phenotype",
    "datasets",
    "label",
    "n",
    "pairs",
    "triples",
    "genes",
    "genome_pairs",
    "genome_triples",
}
"""Parts of a document kept as figures although only the shape of the rest is: no training decides them."""
LONGEST = 2000


def environment(folder: Path) -> dict[str, str]:
    """Variables under which the commands run: no setting but what they are given."""
    return {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}


def kept(text: str, folder: Path, shape: bool) -> Any:
    """What is kept of a printed document: the same on every machine, long lists as their hash and first two items."""
    document = json.loads(re.sub(rf"(/private)?{re.escape(str(folder))}", "FOLDER", text))
    return _shape(document) if shape else _steady(document)


def _steady(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _steady(v, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [_steady(v) for v in value]
        canonical = json.dumps(items)
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return items if len(canonical) < LONGEST else {"items": len(items), "sha256": digest, "first": items[:2]}
    if key in VOLATILE:
        return type(value).__name__
    return float(f"{round(value, 9):.6g}") if isinstance(value, float) else value


def _shape(value: Any, key: str = "") -> Any:
    if key in FIGURES:
        return _steady(value, key)
    if isinstance(value, dict):
        return {k: _shape(v, k) for k, v in value.items()}
    if isinstance(value, list):
        kinds = {json.dumps(_shape(v), sort_keys=True): _shape(v) for v in value}
        return {"list of": [kinds[k] for k in sorted(kinds)]}
    number = value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    return "number or null" if number else type(value).__name__  # whether a figure is there may depend on training


def documents(
    run: Callable[[list[str]], Printed],
    folder: Path,
    *,
    whole: bool = True,
    look: Callable[[Kept, Any], None] = lambda _step, _document: None,
) -> dict[str, Any]:
    """What is kept of the commands' documents, run one after the other in a folder; `look` gets each as it is."""
    found = {}
    for step in KEPT:
        if whole or not step.slow:
            code, stdout, said = run([word.replace("FOLDER", str(folder)) for word in step.command])
            if code != step.code:
                raise RuntimeError(f"{step.words} left with {code}, not {step.code}:\n{said}")
            look(step, json.loads(stdout))
            found[step.name] = kept(stdout, folder, step.shape)
    return found


def _judge(step: Kept, document: Any, faults: dict[str, list[str]]) -> None:
    """Hold a document to the schema of its command, and the schema to refusing what is none of its documents."""
    from gocell_cli.storage.json_schemas import output_faults

    words = step.words.split()
    faults[step.name] = output_faults(words, document)
    faults[step.name] += [f"taken: {what}" for what, wrong in mutations(document) if not output_faults(words, wrong)]


def mutations(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Documents that no command prints, each with what is wrong in it: at the top, and in the first item of lists."""
    yield "a list at the top", [document]
    yield "a key of nobody's", {**document, "colour": "red"}
    for key, value in document.items():
        yield f"{key} of another type", {**document, key: [[{"colour": "red"}]]}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            first = next(iter(value[0]))
            yield f"a key of nobody's in {key}", {**document, key: [{**value[0], "colour": "red"}]}
            yield f"no {first} in {key}", {**document, key: [{k: v for k, v in value[0].items() if k != first}]}
    first = next(iter(document))
    yield f"no {first}", {key: value for key, value in document.items() if key != first}


def in_this_process(words: list[str]) -> Printed:
    """Run `gocell` here: its libraries are loaded once for all commands."""
    from typer.testing import CliRunner

    from gocell_cli.commands.tree import mounted

    done = CliRunner().invoke(mounted(), words)
    return done.exit_code, done.stdout, f"{done.output}{done.exception!r}"


def _process_of(gocell: Path, folder: Path) -> Callable[[list[str]], Printed]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GOCELL_", "PYTHONPATH"))}

    def run(words: list[str]) -> Printed:
        done = subprocess.run(
            [gocell, *words], env=clean | environment(folder), cwd=folder,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def main() -> None:
    """Print what is kept as one document; or, of another checkout's gocell, write it file by file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "own.tsv").write_text(TABLE, "utf-8")
        if len(sys.argv) > 2:
            found = documents(_process_of(Path(sys.argv[1]).absolute(), folder), folder)
            for name in sys.argv[3:] or found:
                (Path(sys.argv[2]) / f"{name}.json").write_text(json.dumps(found[name], indent=1) + "\n", "utf-8")
        else:
            os.chdir(folder)
            os.environ.update(environment(folder))
            faults: dict[str, list[str]] = {}
            found = documents(in_this_process, folder, whole=ATTACKS, look=lambda step, one: _judge(step, one, faults))
            print(json.dumps({"kept": found, "faults": faults}))


if __name__ == "__main__":
    main()
