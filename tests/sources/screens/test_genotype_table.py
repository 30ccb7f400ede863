"""Tables of genotypes read piece by piece: the same rows, lines and errors as of a table read whole."""

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens import table_pieces as pieces_module
from gocell_cli.sources.screens.genotype_table import Genotypes, read_genotypes
from gocell_cli.sources.screens.table_columns import is_gene_column
from gocell_cli.sources.screens.table_file import read_table
from gocell_cli.sources.screens.table_pieces import table_pieces

NAMES = [f"YAL{number:03d}C" for number in range(1, 30)]
LOOKUP = GeneNames(NAMES, [f"GEN{number}" for number in range(1, 30)], [()] * len(NAMES))
WORDS = [*NAMES, "gen3", "GEN4", "nobody", "WT", "", "wild-type", "-"]


def rows_of(seed: int, rows: int = 400) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    return [(WORDS[i], WORDS[j]) for i, j in rng.integers(0, len(WORDS), (rows, 2))]


def as_csv(rows: list[tuple[str, str]], end: str = "\n", quoted: str = "") -> bytes:
    lines = ["gene_1,gene_2,note", *(f"{a},{b},{quoted if n % 7 == 0 else n}" for n, (a, b) in enumerate(rows))]
    return end.join(lines).encode()


def read(path: Path) -> Genotypes:
    """Put the pieces together."""
    found = [*read_genotypes(path, LOOKUP).pieces()]
    lengths = np.concatenate([np.diff(piece.ptr) for piece in found])
    return Genotypes(
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([piece.genes for piece in found]),
        np.concatenate([piece.line for piece in found]),
        tuple(why for piece in found for why in piece.reason),
    )


def slow(a: str, b: str) -> tuple[list[int], str]:
    """What a row is, name by name."""
    names = [n for n in (a, b) if n not in ("", "-", "WT", "wild-type")]
    if not names:
        return [], "" if "WT" in (a, b) or "wild-type" in (a, b) else "no_gene"
    genes = [LOOKUP.find(name).genes for name in names]
    if () in genes:
        return [], f"unknown_gene: {names[genes.index(())]}"
    if len({*genes}) < len(genes):
        return [], "genes_not_distinct"
    return sorted(gene[0] for gene in genes), ""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "BYTES", 300)
    monkeypatch.setattr(pieces_module, "ROWS", 37)
    # chunks of a few lines: what the file gives at once is smaller than a piece
    chunks = pieces_module.text_chunks
    monkeypatch.setattr(pieces_module, "text_chunks", lambda file, path: chunks(file, path, 64))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", ["lf", "crlf", "gz", "parquet", "quoted", "blank lines at the end"])
@pytest.mark.usefixtures("small")
def test_pieces_are_the_rows_of_the_whole(tmp_path: Path, form: str, seed: int) -> None:
    rows, path = rows_of(seed), tmp_path / "table"
    data = as_csv(rows, "\r\n" if form == "crlf" else "\n", '"a, b\n\n""c"", d"' if form == "quoted" else "x")
    data += b"\n\n\n\n" if form.startswith("blank") else b""
    path.write_bytes(gzip.compress(data) if form == "gz" else data)
    if form == "parquet":
        pq.write_table(pa_csv.read_csv(io.BytesIO(data)), path, row_group_size=90)
    found = read(path)
    assert len([*table_pieces(path, is_key=is_gene_column)]) > 5
    assert len(found) == len(rows)
    assert found.line.tolist() == read_table(path, is_key=is_gene_column).line.tolist()
    for number, (a, b) in enumerate(rows):
        genes, reason = slow(a, b)
        assert (found.genes[found.ptr[number] : found.ptr[number + 1]].tolist(), found.reason[number]) == (
            genes,
            reason,
        )


@pytest.mark.usefixtures("small")
def test_an_error_late_in_the_table_tells_the_line_of_the_file(tmp_path: Path) -> None:
    path, lines = tmp_path / "table.csv", as_csv(rows_of(0)).split(b"\n")
    lines[301] += b",one cell more"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InvalidInput, match=r"table.csv:302: 4 columns where the header has 3"):
        read_genotypes(path, LOOKUP)
    lines[301] = lines[0]
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InvalidInput, match=r"table.csv:302: its header again"):
        read_genotypes(path, LOOKUP)


@pytest.mark.usefixtures("small")
def test_the_case_of_all_names_decides_and_not_that_of_a_piece(tmp_path: Path) -> None:
    """In a table in lower case `h` may be H: the last row alone tells that this one carries no case."""
    lookup = GeneNames(["G1", "G2"], ["H", "h"], [(), ()])
    path = tmp_path / "table.csv"
    path.write_text("gene\n" + "h\n" * 300 + "g1\n")
    reasons = [why for piece in read_genotypes(path, lookup).pieces() for why in piece.reason]
    assert reasons == ["ambiguous_gene: h"] * 300 + [""]
    path.write_text("gene\n" + "h\n" * 300 + "G1\n")
    found = [*read_genotypes(path, lookup).pieces()]
    assert len(found) > 1
    assert [gene for piece in found for gene in piece.genes.tolist()] == [1] * 300 + [0]


@pytest.mark.usefixtures("small")
def test_a_quote_that_is_never_closed_ends_in_an_error(tmp_path: Path) -> None:
    path, lines = tmp_path / "table.csv", as_csv(rows_of(1)).split(b"\n")
    lines[50] = b'"YAL001C,YAL002C,x'
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(InvalidInput, match="quote"):
        read_genotypes(path, LOOKUP)


@pytest.mark.parametrize("text", ["gene\nFOO\nBAR\n", "gene_1,gene_2\n,\n,\n", "gene\n-\nnone\n"])
def test_a_table_of_which_nothing_can_be_predicted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match="none of its 2 genotypes can be predicted"):
        read_genotypes(path, LOOKUP)
    path.write_text("gene\nGEN1 GEN1\nGEN1 YAL001C\n")
    read = read_genotypes(path, LOOKUP)
    with pytest.raises(InvalidInput, match="none of its 2 genotypes can be predicted"):
        [*read.pieces()]


def test_an_empty_parquet_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"gene": pa.array([], pa.string())}), tmp_path / "t.parquet")
    with pytest.raises(InvalidInput, match="none of its 0 genotypes"):
        read_genotypes(tmp_path / "t.parquet", LOOKUP)
