"""Gene vectors by gene: names of any kind, several files, what is missing, the scale, and what a run keeps of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.errors import DamagedCache, InvalidInput, UsageError
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.gene_vectors import keep_vectors, kept_vectors, read_gene_vectors
from tests import toy
from tests.hierarchies import make_network

STANDARD = ("TFC3", "VPS8", "EFB1", "SSA1", "ERP2")


def hierarchy() -> Hierarchy:
    """Five genes of the toy; ERP2's alias is shared with SSA1."""
    made = make_network([(1, 0)], [(1, gene) for gene in range(5)], terms=2, genes=5)
    return replace(
        made, gene_names=tuple(toy.GENES), gene_standard=STANDARD, gene_aliases=((), (), (), ("SAME",), ("SAME",))
    )


def vectors(rows: dict[str, tuple[float, ...]] | list[tuple[str, tuple[float, ...]]], *columns: str,
            path: str = "made.csv") -> NamedVectors:  # fmt: skip
    pairs = list(rows.items()) if isinstance(rows, dict) else rows
    return NamedVectors(
        Path(path), "0" * 64, np.arange(2, len(pairs) + 2), tuple(name for name, _ in pairs), columns,
        np.array([values for _, values in pairs], dtype=np.float64),
    )  # fmt: skip


TRAINED = np.array([True, True, True, False, False])
NAN = float("nan")


def test_the_scale_is_that_of_the_genes_deleted_in_training() -> None:
    made = vectors({"YAL001C": (1.0,), "vps8": (3.0,), "EFB1": (NAN,), "SSA1": (4.0,)}, "x")
    found = read_gene_vectors([made], hierarchy(), TRAINED, "fitness")
    # mean 2 and SD 1 of the two that are known; SSA1, never deleted, is measured by the same
    assert found.values.tolist() == [[-1.0], [1.0], [0.0], [2.0], [0.0]]
    assert found.missing.tolist() == [False, False, True, False, True]
    assert found.names == ("x",)
    (source,) = found.sources
    assert (source.rows, source.genes, source.empty_cells) == (4, 4, 1)
    assert found.notes == (
        "made.csv: 1 numbers for 4 genes; 1 empty cells",
        "2 genes have no vector, 1 of them deleted in training: theirs is 0",
    )


def test_rows_that_are_not_one_genes_are_counted_and_told() -> None:
    made = vectors(
        [("TFC3", (1.0,)), ("YAL001C", (2.0,)), ("VPS8", (3.0,)), ("SAME", (9.0,)), ("NOGENE", (9.0,)), ("", (9.0,)),
         ("EFB1", (1.5,))], "x",
    )  # fmt: skip
    found = read_gene_vectors([made], hierarchy(), TRAINED, "fitness")
    (source,) = found.sources
    told = (source.rows, source.genes, source.repeated, source.ambiguous, source.unknown, source.unnamed)
    assert told == (7, 3, 1, 1, 1, 1)
    # the two rows of TFC3 are one: 1.5, 3, 1.5
    np.testing.assert_allclose(found.values[:3, 0], np.array([-0.5, 1.0, -0.5]) * np.sqrt(2))
    assert "(NOGENE, SAME)" in found.notes[0]


def test_several_files_stand_side_by_side_whatever_their_columns_are_called() -> None:
    first = vectors({"TFC3": (1.0, 5.0), "VPS8": (2.0, 5.0)}, "x", "same", path="a.csv")
    second = vectors({"EFB1": (1.0, 0.0), "VPS8": (2.0, 1.0)}, "x", "gene", path="b.csv")
    found = read_gene_vectors([first, second], hierarchy(), TRAINED, "fitness")
    assert found.names == ("a:x", "b:x", "gene (2)")
    assert found.missing.tolist() == [False, False, False, True, True]
    assert "left out, the same for all genes deleted in training: same" in found.notes
    assert [source.path for source in found.sources] == ["a.csv", "b.csv"]


def test_genes_never_deleted_do_not_save_a_column() -> None:
    with pytest.raises(InvalidInput, match="no column tells the 3 genes deleted in training apart"):
        read_gene_vectors(
            [vectors({"SSA1": (1.0,), "ERP2": (2.0,), "TFC3": (1.0,)}, "x")], hierarchy(), TRAINED, "fitness"
        )
    with pytest.raises(InvalidInput, match="names are among the 5 genes here"):
        read_gene_vectors(
            [vectors(dict.fromkeys(("A1", "B2", "C3", "D4", "E5"), (1.0,)), "x")], hierarchy(), TRAINED, "fitness"
        )
    with pytest.raises(UsageError, match="no file"):
        read_gene_vectors([], hierarchy(), TRAINED, "fitness")


def test_a_run_keeps_what_it_was_trained_with(tmp_path: Path) -> None:
    made = vectors({"TFC3": (1.0, 0.1), "VPS8": (3.0, 0.7), "EFB1": (NAN, 0.2)}, "x", "y")
    found = read_gene_vectors([made], hierarchy(), TRAINED, "fitness")
    record = keep_vectors(tmp_path, found, hierarchy())
    again = kept_vectors(tmp_path, record, hierarchy())
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.missing, found.missing)
    assert again.names == found.names
    with pytest.raises(DamagedCache, match="its genes are not those"):
        kept_vectors(tmp_path, record, replace(hierarchy(), gene_names=("A", "B", "C", "D", "E")))
    path = tmp_path / record.file.path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedCache, match="damaged"):
        kept_vectors(tmp_path, record, hierarchy())
    path.unlink()
    with pytest.raises(DamagedCache, match="cannot be read"):
        kept_vectors(tmp_path, record, hierarchy())


def test_a_control_is_not_told_the_terms(tmp_path: Path) -> None:
    made = vectors({"TFC3": (1.0, 5.0), "VPS8": (2.0, 4.0)}, "terms_1", "x")
    assert read_gene_vectors([made], hierarchy(), TRAINED, "fitness").names == ("terms_1", "x")
    found = read_gene_vectors([made], hierarchy(), TRAINED, "fitness", control=True)
    assert found.names == ("x",)
    assert "terms_1: not used for fitness: a control is to do without the terms as they are" in found.notes
    # of terms alone nothing is left: a control of a series goes without
    terms = vectors({"TFC3": (1.0,), "VPS8": (2.0,)}, "terms_1")
    none = read_gene_vectors([terms], hierarchy(), TRAINED, "fitness", control=True)
    assert (none.values.shape, none.names) == ((5, 0), ())
    assert kept_vectors(tmp_path, keep_vectors(tmp_path, none, hierarchy()), hierarchy()).values.shape == (5, 0)
