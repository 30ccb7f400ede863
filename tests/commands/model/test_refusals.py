"""Everything that train, evaluate, predict and explain refuse, and what they have loaded by then: never torch.

torch, LLVM and scipy take seconds to load; what is wrong with a command line, a setting or a path is told
in a fraction of one. That is a test of modules, not of time; `make bench ONLY=coldstart` has the times.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.commands.fork_server import environment
from tests.commands.model.refused import MODULES
from tests.commands.runners import looked_at, run

ARRAYS = ("numpy", "pyarrow")


@dataclass(frozen=True)
class Refusal:
    """A command that ends with `code` and says `told`; `arrays`: its samples or genes must be read to know.

    `given` makes, in an empty folder beside CACHE (a small cache) and RUN (a run on it), what it is tried on.
    """

    words: str
    code: int
    told: str
    arrays: bool = False
    given: Callable[[Path], object] = lambda folder: folder
    missing: str = ""


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def damaged(source: str, name: str, text: str = "{}") -> Callable[[Path], object]:
    """A copy of CACHE or RUN, called `bad`, with another text in one of its files."""

    def make(folder: Path) -> None:
        shutil.copytree(folder / source, folder / "bad", symlinks=False)
        (folder / "bad" / name).write_text(text)

    return make


def without(name: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        shutil.copytree(folder / "RUN", folder / "bad")
        (folder / "bad" / name).unlink()

    return make


def moved(folder: Path) -> None:
    """A run whose cache is not there any more."""
    shutil.copytree(folder / "RUN", folder / "bad")
    record = json.loads((folder / "bad" / "run.json").read_text())
    (folder / "bad" / "run.json").write_text(json.dumps({**record, "cache": "/nowhere"}))


def another(folder: Path) -> None:
    """A run of another cache."""
    shutil.copytree(folder / "RUN", folder / "bad")
    record = json.loads((folder / "bad" / "run.json").read_text())
    (folder / "bad" / "run.json").write_text(json.dumps({**record, "fingerprint": "0" * 64}))


def parts(folder: Path) -> None:
    """Splits of the cache's first genes, by parts and by the numbers of three folds."""
    (folder / "parts.csv").write_text("genes,part\nYAL001C,train\nYAL002W,test\n")
    (folder / "folds.csv").write_text("genes,fold\nYAL001C,0\nYAL002W,1\nYAL003W,2\n")


def unfinished(folder: Path) -> None:
    """A run that was not trained to its end."""
    shutil.copytree(folder / "RUN", folder / "bad")
    record = json.loads((folder / "bad" / "run.json").read_text())
    (folder / "bad" / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k != "results"}))


def series(folder: Path) -> None:
    """A series that has begun, on a cache that is gone."""
    record = {"cache": "/nowhere", "fingerprint": "0" * 64, "phenotype": "fitness", "settings": {"epochs": 1}}
    (folder / "SERIES").mkdir()
    (folder / "SERIES" / "series.json").write_text(json.dumps({**record, "members": [{"run": "seed-0", "seed": 0}]}))


def broken_series(folder: Path) -> None:
    (folder / "bad").mkdir()
    (folder / "bad" / "series.json").write_text("{}")


TRAIN = [
    Refusal("train --nonsense", 2, "No such option: --nonsense"),
    Refusal("train --epochs 0", 2, "greater than or equal to 1"),
    Refusal("train --epochs many", 2, "--epochs"),
    Refusal("train --lr 1 --lr 2", 2, "--lr is given 2 times"),
    Refusal("train CACHE CACHE", 2, "unexpected extra argument"),
    Refusal("train CACHE --batch-size 1", 2, "greater than or equal to 2"),
    Refusal("train CACHE --lr nan", 2, "lr is nan, not a finite number"),
    Refusal("train CACHE --lr 0", 2, "must be above 0"),
    Refusal("train CACHE --split rows", 2, "split is 'rows'"),
    Refusal("train CACHE --split ./nowhere.csv", 6, "nowhere.csv: cannot be read"),
    Refusal("train CACHE --split .", 6, "split.parquet: cannot be read"),
    Refusal("train CACHE --split parts.csv --fold 1", 2, "holds no numbers of folds", arrays=True, given=parts),
    Refusal("train CACHE --split folds.csv --fold 3", 2, "column 'fold' has 3 folds", arrays=True, given=parts),
    Refusal(
        "train CACHE --split folds.csv --folds 4 --fold 0", 2, "column 'fold' has 3 folds", arrays=True, given=parts
    ),
    Refusal("train CACHE --seeds 0", 2, "greater than or equal to 1"),
    Refusal("train CACHE --jobs 0", 2, "greater than or equal to 1"),
    Refusal("train CACHE --seeds 10001", 2, "a series of 10,001 runs"),
    Refusal("train CACHE --seeds 2 --control-kinds dag", 2, "--control-kinds needs --controls"),
    Refusal("train CACHE --controls 1 --control-kinds terms", 2, "no kinds of control: terms"),
    Refusal("train CACHE --controls 1 --set control=dag", 2, "a control has no controls"),
    Refusal("train CACHE --seeds 2 --out RUN", 2, "a run is here already"),
    Refusal("train --resume --out RUN --seeds 2", 2, "RUN: one run, and a series is asked for"),
    Refusal("train --resume --out SERIES --epochs 2", 2, "SERIES: its epochs is 1, and 2 is asked for", given=series),
    Refusal("train --resume --out SERIES --seeds 3", 2, "of 1 runs, and one of 3 is asked for", given=series),
    Refusal("train --resume --out SERIES", 6, "the cache of this run is not there", given=series),
    Refusal("train CACHE --out SERIES", 2, "a series of runs is here already", given=series),
    Refusal("train CACHE --seeds 2 --out SERIES", 2, "a series of runs is here already", given=series),
    Refusal("train --resume --out bad", 5, "series.json: this run cannot be read", given=broken_series),
    Refusal("predict SERIES --genes x", 2, "no run of this series is finished", given=series),
    Refusal("predict SERIES --all-pairs --out pairs.parquet", 2, "no run of this series is finished", given=series),
    Refusal("evaluate SERIES --part all", 2, "no part 'all'", given=series),
    Refusal("evaluate SERIES --baselines mean", 2, "a series of 1 runs, not one", given=series),
    Refusal("train CACHE --set control=none", 2, "control is 'none'"),
    Refusal("train CACHE --set control_seed=1", 2, "control_seed draws a control"),
    Refusal("train CACHE --split-column part", 2, "split_column is a column of a file"),
    Refusal("train CACHE --folds 1", 2, "greater than or equal to 2"),
    Refusal("train CACHE --folds 3 --fold 3", 2, "fold is 3, and there are 3 folds"),
    Refusal("train CACHE --fold 1", 2, "fold is 1, and there are no folds"),
    Refusal("train CACHE --subset 0", 2, "greater than or equal to 1"),
    Refusal("train CACHE --set split_rule=3", 2, "split_rule is 3"),
    Refusal("train CACHE --device gpu", 2, "device is 'gpu'"),
    Refusal("train CACHE --precision 16", 2, "precision is '16'"),
    Refusal("train CACHE --device cpu --precision tf32", 2, "precision is tf32, and a CPU has none"),
    Refusal("train CACHE --set nonsense=1", 2, "no setting 'nonsense'"),
    Refusal("train CACHE --set nonsense", 2, "no NAME=VALUE"),
    Refusal("train CACHE --set norm_order=none", 2, "norm_order is 'none'"),
    Refusal("train CACHE --set gene_weights=none", 2, "gene_weights is 'none'"),
    Refusal("train CACHE --set form=none", 2, "form is 'none'"),
    Refusal("train CACHE --set fractions=[1,1,1]", 2, "do not add up to 1"),
    Refusal("train CACHE --set min_width=-1", 2, "min_width is -1"),
    Refusal("train CACHE --set term_dropout=1", 2, "term_dropout is 1.0"),
    Refusal("train CACHE --set min_width=wide", 2, "min_width is 'wide'"),
    Refusal("train CACHE --set l2=1 --set weight_decay=1", 2, "would both shrink"),
    Refusal("train CACHE --config run.toml", 6, "run.toml: cannot be read"),
    Refusal("train CACHE --config run.toml", 4, "not TOML", given=write("run.toml", "=")),
    Refusal("train CACHE --config run.toml", 2, "no setting 'nonsense'", given=write("run.toml", "nonsense = 1")),
    Refusal("train CACHE --from bad", 6, "no such checkpoint", given=without("best.safetensors")),
    Refusal("train CACHE --from bad", 5, "this run cannot be read", given=damaged("RUN", "run.json")),
    Refusal("train CACHE --from RUN --recipe torchcell", 2, "its norm_order is 'tanh-bn'"),
    Refusal("train CACHE --set wandb=here", 7, "wandb is not installed", missing="wandb"),
    Refusal("train CACHE", 7, "the trainer needs torch", missing="torch"),
    Refusal("train CACHE", 7, "the trainer needs llvmlite", missing="llvmlite"),
    Refusal("train", 6, "no cache has been built"),
    Refusal("train nowhere", 6, "nowhere: no such cache"),
    Refusal("train .", 5, "no finished cache"),
    Refusal("train bad", 5, "its sha256 is not the one", given=damaged("CACHE", "manifest.json")),
    Refusal("train CACHE --root file", 2, "the data root is no folder", given=write("file", "")),
    Refusal("train CACHE --out RUN", 2, "a run is here already"),
    Refusal("train CACHE --out file", 2, "cannot be written", given=write("file", "")),
    Refusal("train CACHE --out file/run", 2, "cannot be written", given=write("file", "")),
    Refusal("train CACHE --resume", 2, "--resume needs the run's directory"),
    Refusal("train --resume --out RUN --lr 0.1", 2, "RUN: its lr is 0.003, and 0.1 is asked for"),
    Refusal("train --resume --out RUN --set lr=0.1", 2, "RUN: its lr is 0.003, and 0.1 is asked for"),
    Refusal("train nowhere --resume --out RUN", 6, "nowhere: no such cache"),
    Refusal("train nowhere --resume --out new", 6, "nowhere: no such cache"),
    Refusal("train --resume --out nowhere", 6, "no run is here"),
    Refusal("train --resume --out bad", 6, "the cache of this run is not there", given=moved),
    Refusal("train --resume --out bad", 5, "not the cache this run was trained on", given=another),
    Refusal("train --resume --out bad", 6, "no such checkpoint", given=without("last.safetensors")),
    Refusal("train", 4, "no command has an option", given=write("gocell.toml", "nonsense = 1")),
    Refusal("train", 4, "no file found in a folder may say", given=write("gocell.toml", '[train]\nout = "x"')),
    Refusal("train CACHE", 2, "split is 'rows'", given=write("gocell.toml", '[train]\nsplit = "rows"')),
    Refusal("train CACHE", 2, "no setting 'a'", given=write("gocell.toml", '[train]\nset = ["a=1"]')),
    Refusal("train CACHE --split query", 2, "without a query group", arrays=True),
    Refusal("train CACHE --folds 300", 2, "make no 300 folds", arrays=True),
    Refusal("train CACHE --subset 1000", 2, "training samples have a label", arrays=True),
    Refusal(
        "train CACHE --split my.csv",
        4,
        "my.csv:3: no gene 'NONE'",
        arrays=True,
        given=write("my.csv", "genes,part\nYAL001C,train\nNONE,test\n"),
    ),
    Refusal("train CACHE --set loss=bce", 2, "needs a phenotype of 0 and 1", arrays=True),
    Refusal("train CACHE --set fractions=[1.0,0.0,0.0]", 2, "leaves a part empty", arrays=True),
]
OPENED = [
    Refusal("{} nowhere", 6, "no run is here"),
    Refusal("{} RUN --nonsense", 2, "No such option"),
    Refusal("{}", 2, "Missing argument"),
    Refusal("{} RUN", 7, "the trainer needs torch", missing="torch"),
    Refusal("{} RUN --cache nowhere", 6, "the cache of this run is not there"),
    Refusal("{} RUN --cache .", 5, "no finished cache"),
    Refusal("{} bad", 5, "this run cannot be read", given=damaged("RUN", "run.json")),
    Refusal("{} bad", 5, "no setting 'nonsense'", given=damaged("RUN", "config.toml", "nonsense = 1")),
    Refusal("{} bad", 5, "not TOML", given=damaged("RUN", "config.toml", "=")),
    Refusal("{} bad", 6, "no such checkpoint", given=without("best.safetensors")),
]
EVALUATE = [
    Refusal("evaluate RUN --part all", 2, "no part 'all'"),
    Refusal("evaluate bad", 6, "the cache of this run is not there", given=moved),
    Refusal("evaluate bad", 5, "not the cache this run was trained on", given=another),
]
COMPARE = [
    Refusal("compare", 2, "Missing argument"),
    Refusal("compare nowhere", 6, "no run is here"),
    Refusal("compare empty", 6, "no run is here", given=lambda folder: (folder / "empty").mkdir()),
    Refusal("compare bad", 6, "not trained to its end", given=unfinished),
    Refusal("compare RUN --metric best", 2, "one of auto, pearson"),
    Refusal("compare RUN --figure f.jpg", 2, "neither .svg nor .png nor .pdf"),
    Refusal("compare RUN --out t.tsv", 2, "is there already", given=write("t.tsv", "text")),
    Refusal("compare RUN --resamples 5", 2, "greater than or equal to 100"),
    Refusal("compare RUN --against nobody", 2, "it is none of them", arrays=True),
    Refusal("compare RUN", 7, "the trainer needs torch", missing="torch"),
]
PREDICT = [
    Refusal("predict RUN", 2, "no genotype is named"),
    Refusal("predict RUN --genes x --out pairs.doc", 2, "neither .xlsx nor .parquet nor .csv nor .tsv"),
    Refusal("predict RUN --genes x --out - --json", 2, "both print on stdout"),
    Refusal("predict RUN --all-pairs", 2, "--all-pairs writes a file"),
    Refusal("predict RUN --all-triples", 2, "--all-triples writes a file"),
    Refusal("predict RUN --all-triples --genes YAL001C,YAL002W --dry-run", 2, "2 genes make no triple", arrays=True),
    Refusal("predict RUN --all-pairs --out file", 2, "is there already", given=write("file", "text")),
    Refusal("predict RUN --all-pairs --out file/pairs.parquet", 2, "cannot be written", given=write("file", "text")),
    Refusal("predict RUN --genes no_such_gene", 2, "no gene 'no_such_gene'", arrays=True),
    Refusal("predict RUN --genes YAL001C --all-pairs --out pairs.parquet", 2, "1 genes make no pair", arrays=True),
    Refusal(
        "predict bad --genes YAL001C",
        5,
        "damaged",
        arrays=True,
        given=damaged("RUN", "hierarchy/genes.parquet", "text"),
    ),
]
EXPLAIN = [
    Refusal("explain RUN --top 0", 2, "greater than or equal to 1"),
    Refusal("explain RUN --rlipp-samples 1", 2, "greater than or equal to 8"),
    Refusal("explain RUN --sort name", 2, "'name' is not one of 'excess'"),
    Refusal("explain RUN --least-power 2", 2, "less than or equal to 1"),
    Refusal("explain RUN --least-activations 1", 2, "greater than or equal to 2"),
    Refusal("explain bad", 6, "the cache of this run is not there", given=moved),
    Refusal("explain RUN --genes no_such_gene", 2, "no gene 'no_such_gene'", arrays=True),
    Refusal("explain RUN --genes ,", 2, "--genes names no gene", arrays=True),
]
MORE = {"predict": " --genes YAL001C", "evaluate": "", "explain": ""}
REFUSALS = [
    *TRAIN,
    *(
        Refusal(one.words.format(name) + more, one.code, one.told, one.arrays, one.given, one.missing)
        for name, more in MORE.items()
        for one in OPENED
    ),
    *EVALUATE,
    *COMPARE,
    *PREDICT,
    *EXPLAIN,
]


@pytest.fixture(scope="module")
def small_run(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on the small cache."""
    folder = tmp_path_factory.mktemp("run")
    words = ("--epochs", 1, "--set", "min_width=2", "--set", "ratio=0.0", "--set", "form=dense", "-q")
    done = run("train", small_cache, "--out", folder / "run", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def found(small_cache: Path, small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What became of each of REFUSALS."""
    asked = []
    for number, one in enumerate(REFUSALS):
        folder = tmp_path_factory.mktemp(f"refused-{number}")
        (folder / "CACHE").symlink_to(small_cache)
        (folder / "RUN").symlink_to(small_run)
        one.given(folder)
        asked.append((one.words.split(), str(folder), one.missing))
    return looked_at(asked)


def label(number: int) -> str:
    return f"{REFUSALS[number].words} {REFUSALS[number].told}"


@pytest.mark.parametrize("number", range(len(REFUSALS)), ids=label)
def test_a_refusal_loads_no_torch(number: int, found: list[dict[str, Any]]) -> None:
    one, got = REFUSALS[number], found[number]
    assert (got["code"], one.told in got["errors"]) == (one.code, True), got
    assert "Traceback" not in got["errors"]
    assert "hint:" in got["errors"] or one.code == 2
    assert set(got["loaded"]) <= set(ARRAYS if one.arrays else ())


def test_what_is_not_refused_loads_them(small_cache: Path, tmp_path: Path) -> None:
    """The test can fail: the same look finds torch where a command goes on."""
    asked = [(["train", str(small_cache), "--out", "run", "--epochs", "1", "--set", "form=dense"], str(tmp_path), "")]
    (got,) = looked_at(asked)
    assert got["code"] == 0, got
    assert {"torch", "numpy", "pyarrow", "safetensors.torch"} <= set(got["loaded"]) <= set(MODULES)


@pytest.mark.parametrize("name", ["train", "evaluate", "compare", "predict", "explain"])
def test_help_loads_neither_torch_nor_pydantic(name: str) -> None:
    code = f"""
import sys
sys.argv = ["gocell", "{name}", "--help"]
from gocell_cli.commands.app import _run
try:
    _run()
finally:
    print([m for m in ({", ".join(map(repr, MODULES))}, "pydantic", "gocell_cli.commands.build") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert f"Usage: gocell {name}" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_that_is_being_trained_is_refused(small_cache: Path, small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run, tmp_path / "run")
    (tmp_path / "new").mkdir()
    for folder in ("run", "new"):
        with FileLock(tmp_path / folder / ".lock"):
            words = ["--resume"] if folder == "run" else [str(small_cache)]
            (got,) = looked_at([(["train", *words, "--out", folder], str(tmp_path), "")])
        assert (got["code"], got["loaded"]) == (2, [])
        assert "another process is training here" in got["errors"]
