"""Data sets at full size: Costanzo 2016's 20.7 million rows into a cache, and each parser's MB/s beside pandas.

The tables are made up (`costanzo_tables`), in the paper's shape. Predicted for the build: 3.5 GB through pyarrow's
reader on 2 cores at 250 MB/s, 14 s, sorting 4 s, shards 5 s.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens import costanzo, own_table, table_columns
from tests.benchmarks.costanzo_tables import ROWS, strains, write_tables
from tests.benchmarks.kuzmin_table import write_full_size_table
from tests.benchmarks.measure import GOCELL, Row, report, run_process
from tests.benchmarks.real_data import real_data
from tests.conftest import read_kuzmin2018

NAMES = ("costanzo_build_s", "costanzo_dask_s", "sga_stream_mb_s", "kuzmin_mb_s", "table_mb_s", "xlsx_mb_s")
LIMIT_S, LIMIT_MB = 180, 3_000
TABLE_ROWS = 200_000


def run() -> None:
    """Measure, and report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, notes = builds(folder)
        rows += parsers(folder)
    report("Data sets", rows, notes)


def builds(folder: Path) -> tuple[list[Row], list[str]]:
    """The four tables at full size, with two workers and with dask; peak memory is the building process's."""
    raw = folder / "costanzo2016"
    raw.mkdir()
    write_tables(raw, strains(real_data()))
    size = sum(path.stat().st_size for path in raw.iterdir())
    rows, notes = [], [f"{ROWS:,} rows, {size / 1e9:.1f} GB of text"]
    for bench, extra in (("costanzo_build_s", ()), ("costanzo_dask_s", ("--executor", "dask"))):
        words = ["build-cache", "--dataset", "costanzo2016", "--raw", str(raw), "--workers", "2", *extra]
        found = run_process(
            [GOCELL, *words, "--root", str(folder), "--out", str(folder / "out"), "--overwrite"], runs=2
        )
        rows.append(Row(bench, found.median_seconds, "s", f"the bar of {LIMIT_S} s", found.median_seconds / LIMIT_S))
        notes.append(f"{bench}: {found.spread()}, peak {found.median_peak_mb:,.0f} MB (bar {LIMIT_MB:,})")
    return rows, notes


def parsers(folder: Path) -> list[Row]:
    """Each parser, to measurements, beside pandas, to a frame of text and numbers only."""
    genes, sga = load_genes(), folder / "costanzo2016" / "SGA_DAmP.txt"
    kuzmin, table, book = (
        folder / "kuzmin.tsv",
        folder / "table.csv",
        real_data() / "costanzo2016" / costanzo.STRAIN_TABLE,
    )
    write_full_size_table(kuzmin, real_data() / "kuzmin2018" / "aao1729_data_s1.slice.tsv")
    names = genes.systematic
    pairs = ((names[i % 5_000], names[(i * 7 + 1) % 5_000], i) for i in range(TABLE_ROWS))
    table.write_text("gene_1,gene_2,growth\n" + "".join(f"{a},{b},{i % 97 / 97}\n" for a, b, i in pairs), "utf-8")
    rows = [
        _row("sga_stream_mb_s", sga, lambda: costanzo.read([sga], genes, phenotype="epsilon", temperature="both")),
        _row("kuzmin_mb_s", kuzmin, lambda: read_kuzmin2018(kuzmin, genes, phenotype="fitness", order="all")),
        _row("table_mb_s", table, lambda: own_table.read(table, genes, table_columns.TableOptions())),
    ]
    if book.is_file():
        rows.append(_row("xlsx_mb_s", book, lambda: costanzo.read([book], genes, phenotype="smf", temperature="both")))
    return rows


def _row(name: str, path: Path, read: Callable[[], object]) -> Row:
    mb = path.stat().st_size / 1e6
    ours, peer = (min(_seconds(f) for _ in range(3)) for f in (read, lambda: _pandas(path)))
    return Row(name, mb / ours, "MB/s", "pandas", peer / ours)


def _pandas(path: Path) -> object:
    if path.suffix == ".xlsx":
        return pd.read_excel(path)
    return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t")


def _seconds(read: Callable[[], object]) -> float:
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


if __name__ == "__main__":
    run()
