"""The bundled screens: each as its source has it, and a damaged installation is one clear error."""

import csv
import gzip
import lzma
from pathlib import Path

import pytest

from gocell_cli.errors import SourceMissing
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens import bundled
from gocell_cli.sources.screens.bundled import COLLINS2007, EMAP, SAMPLE, BundledScreen, read_collins


def test_collins_is_read_as_its_rows_say() -> None:
    genes = load_genes()
    found = read_collins(genes)
    with lzma.open(EMAP.path(), "rt") as file:
        rows = list(csv.DictReader(file))
    assert (found.name, found.phenotype.kind, found.rows_read) == (COLLINS2007, "s_score", len(rows))
    first, second = (genes.lookup.look_up([row[f"gene_{i}"] for row in rows]).gene for i in (1, 2))
    assert found.dropped["unknown_gene"] == int(((first < 0) | (second < 0)).sum()) > 0
    assert len(found.measurements) == len(rows) - sum(found.dropped.values())
    assert {counts.join for counts in found.names} == {COLLINS2007}
    for at in (0, 1, 77_777, len(found.measurements) - 1):
        line = int(found.measurements.row[at]) - 2  # lines count from 1, and the first is the header
        assert found.measurements.value[at] == float(rows[line]["s_score"])
        assert sorted(found.measurements.genes[at].tolist()) == sorted((first[line], second[line]))


@pytest.mark.parametrize(
    ("screen", "source"),
    [
        (SAMPLE, "kuzmin2018/aao1729_data_s1.slice.tsv"),
        (EMAP, "collins2007/collins2007_emap.csv.gz"),
    ],
)
def test_what_is_bundled_is_what_was_published(screen: BundledScreen, source: str, test_data: Path) -> None:
    path = test_data / source
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert lzma.decompress(screen.path().read_bytes()) == text


def test_a_damaged_installation_is_told() -> None:
    for screen, why in (
        (BundledScreen("gone.tsv.xz", ""), "No such file"),
        (BundledScreen(EMAP.file, "0" * 64), "another"),
    ):
        with pytest.raises(SourceMissing, match="bundled release is damaged") as caught:
            screen.path()
        assert why in caught.value.why
        assert "reinstall" in caught.value.hint
    assert bundled.EMAP.path().is_file()
