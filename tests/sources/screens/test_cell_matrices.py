"""Cell lines by matrices: what a folder says, what is wrong with one told by line, NeST-VNN's published sample read."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gocell_cli.domain.genes import GeneTable, make_gene_table
from gocell_cli.domain.genotype import NO_GENE
from gocell_cli.domain.input_genes import input_genes
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.screens.cell_matrices import find, read, split_lines

FILES = {
    "gene2ind.txt": "0\tABL1\n1\tTP53\n2\tKRAS\n",
    "cell2ind.txt": "0\tLUNG_1\n1\tLUNG_2\n2\tSKIN_1\n",
    "cell2mutation.txt": "1,0,0\n0,1,1\n0,0,0\n",
    "cell2cnamplification.txt": "0,0,1\n0,0,0\n0,0,0\n",
    "training_data.txt": "LUNG_1\tCC\t0.5\tGDSC1\nSKIN_1\tCC\t0.75\tGDSC2\n",
    "test_data.txt": "LUNG_2\tCC\t0.25\tGDSC1\n",
}


def folder(tmp_path: Path, **changed: Any) -> Path:
    for name, text in {**FILES, **{f"{stem}.txt": text for stem, text in changed.items()}}.items():
        if text is not None:
            (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def inputs_of(path: Path) -> GeneTable:
    genes = make_gene_table([("ABL1",), ("KRAS",), ("TP53",), ("ZNF1",)])
    return input_genes(genes, find(path).channels).table


def test_rows_are_cells_with_what_is_changed_in_them(tmp_path: Path) -> None:
    table = inputs_of(folder(tmp_path))
    dataset = read(find(tmp_path), table)
    rows = dataset.measurements
    named = [[table.systematic[g] for g in row if g != NO_GENE] for row in rows.genes.tolist()]
    assert named == [["ABL1:mutation", "KRAS:cnamplification"], [], ["KRAS:mutation", "TP53:mutation"]]
    assert rows.value.tolist() == [0.5, 0.75, 0.25]
    assert rows.row.tolist() == [1, 2, 3]
    assert [(file.name, file.first_row) for file in dataset.files] == [("training_data.txt", 1), ("test_data.txt", 3)]
    assert [dataset.strains[s][0] for s in rows.query_strain.tolist()] == ["LUNG_1", "SKIN_1", "LUNG_2"]


def test_genes_that_the_hierarchy_does_not_have_are_counted(tmp_path: Path) -> None:
    path = folder(tmp_path, gene2ind="0\tABL1\n1\tTP53\n2\tNOGENE\n")
    dataset = read(find(path), inputs_of(path))
    assert dataset.names[0].unknown == ("NOGENE:cnamplification", "NOGENE:mutation")
    assert (dataset.measurements.genes != NO_GENE).sum(axis=1).tolist() == [1, 0, 1]


def test_packed_matrices_are_read_alike(tmp_path: Path) -> None:
    path = folder(tmp_path)
    plain = read(find(path), inputs_of(path)).measurements.genes
    (path / "cell2mutation.txt").unlink()
    (path / "cell2mutation.txt.gz").write_bytes(gzip.compress(FILES["cell2mutation.txt"].encode()))
    np.testing.assert_array_equal(read(find(path), inputs_of(path)).measurements.genes, plain)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gene2ind": "0\tABL1\n2\tTP53\n"}, "gene2ind.txt:2: not index 1"),
        ({"gene2ind": "\n0\tABL1\n\n2\tTP53\n"}, "gene2ind.txt:4: not index 1"),
        ({"cell2mutation": "\n1,0,0\n0,1\n\n0,0,0\n"}, "cell2mutation.txt:3: 2 numbers"),
        ({"test_data": "\nLUNG_2\tCC\tlow\n"}, "test_data.txt:2: 'low' is no response"),
        ({"gene2ind": "0\tABL1\n1\tABL1\n"}, "gene2ind.txt:2: not index 1"),
        ({"cell2mutation": "1,0,0\n0,1,1\n"}, "2 lines, and cell2ind names 3 cells"),
        ({"cell2mutation": "1,0,0\n0,1\n0,0,0\n"}, "cell2mutation.txt:2: 2 numbers, and gene2ind names 3 genes"),
        ({"cell2mutation": "1,0,0\n0,0.5,1\n0,0,0\n"}, "cell2mutation.txt:2: gene 1 is '0.5', neither 0 nor 1"),
        ({"test_data": "LUNG_9\tCC\t0.25\n"}, "test_data.txt:1: 'LUNG_9' is no cell of cell2ind"),
        ({"test_data": "LUNG_2\tCN\t0.25\n"}, "test_data.txt:1: the drug is 'CN' here and 'CC' in training_data.txt:1"),
        ({"test_data": "LUNG_2\tCC\tlow\n"}, "test_data.txt:1: 'low' is no response"),
        ({"test_data": "LUNG_2\tCC\tnan\n"}, "test_data.txt:1: 'nan' is no response"),
    ],
)
def test_what_is_wrong_is_told_by_line(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    path = folder(tmp_path, **changed)
    with pytest.raises(InvalidInput) as error:
        read(find(path), inputs_of(path))
    assert said in str(error.value)


@pytest.mark.parametrize("gone", ["gene2ind", "cell2ind"])
def test_a_folder_without_its_files_is_refused(tmp_path: Path, gone: str) -> None:
    with pytest.raises(SourceMissing, match=f"no {gone}.txt"):
        find(folder(tmp_path, **{gone: None}))


def test_a_sample_of_both_files_is_in_no_part() -> None:
    lines = split_lines(np.array([0, 1, 3, 4]), np.array([1, 2, 3, 4]), np.array([1, 3]), tuple(FILES)[-2:])
    assert lines == ["sample\tpart", "0\ttrain", "1\t", "2\ttest"]


def test_nest_vnns_sample(test_data: Path) -> None:
    path = test_data / "nest_vnn"
    if not path.is_dir():
        pytest.skip(f"{path}: no NeST-VNN sample")
    found = find(path)
    names = [line.split("\t")[1] for line in found.genes.read_text("utf-8").splitlines()]
    dataset = read(found, input_genes(make_gene_table([(n,) for n in names]), found.channels).table)
    assert [channel.name for channel in found.channels] == ["cnamplification", "cndeletion", "mutation"]
    assert [file.rows_read for file in dataset.files] == [1316, 333]
    assert not dataset.names[0].unknown
    # by hand, of the matrices' text: the ones of the first test row's cell
    first = dataset.measurements.genes[1316]
    cell = dataset.strains[dataset.measurements.query_strain[1316]][0]
    assert cell == "EW24_BONE"
    place = [line.split("\t")[1] for line in found.cells.read_text("utf-8").splitlines()].index(cell)
    ones = sum(gzip.decompress(m.read_bytes()).decode().splitlines()[place].count("1") for m in found.matrices.values())
    assert int((first != NO_GENE).sum()) == ones
