"""How fast OBO and GAF are read, against the field's own tools on the same files in the same run."""

import gc
import gzip
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

NAMES = ("obo_vs_obonet_mb_per_second", "obo_vs_goatools_mb_per_second", "gaf_vs_goatools_mb_per_second")
FILES = {"obo": "go-basic-2021-12-15.obo.gz", "gaf": "goa_yeast-2016-10-03.gaf.gz"}
REPEATS = 5


def seconds(*readers: Callable[[], object]) -> list[float]:
    """Median seconds of each reader, which take turns."""
    times: list[list[float]] = [[] for _ in readers]
    for _ in range(REPEATS):
        for reader, found in zip(readers, times, strict=True):
            gc.collect()
            started = time.perf_counter()
            reader()
            found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


def run() -> None:
    """Measure and report."""
    if not all((real_data() / "go" / name).is_file() for name in FILES.values()):
        report("ontology files", [], [f"left out: {real_data() / 'go'} is not at hand"])
        return
    gc.set_threshold(1_000_000)  # as `gocell` sets it: it helps the others as well
    with tempfile.TemporaryDirectory() as folder:
        obo, gaf = (Path(folder) / kind for kind in FILES)
        for path, name in zip((obo, gaf), FILES.values(), strict=True):
            path.write_bytes(gzip.decompress((real_data() / "go" / name).read_bytes()))
        mb = {path: path.stat().st_size / 1e6 for path in (obo, gaf)}
        ours, net, dag = seconds(
            lambda: read_obo(obo),
            lambda: obonet.read_obo(obo),
            lambda: GODag(str(obo), optional_attrs={"relationship"}, prt=None),
        )
        gaf_ours, gaf_theirs = seconds(lambda: read_gaf(gaf), lambda: GafReader(str(gaf), prt=None))
    rows = [
        Row(NAMES[0], mb[obo] / ours, "MB/s", f"obonet, {mb[obo] / net:.1f} MB/s", net / ours),
        Row(NAMES[1], mb[obo] / ours, "MB/s", f"goatools' GODag, {mb[obo] / dag:.1f} MB/s", dag / ours),
        Row(NAMES[2], mb[gaf] / gaf_ours, "MB/s", f"goatools' GafReader, {mb[gaf] / gaf_theirs:.1f} MB/s",
            gaf_theirs / gaf_ours),
    ]  # fmt: skip
    notes = [f"{name}: {mb[path]:.1f} MB unpacked" for path, name in zip((obo, gaf), FILES.values(), strict=True)]
    report("ontology files, medians of in-process reads", rows, notes)
