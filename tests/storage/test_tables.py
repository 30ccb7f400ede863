"""The hierarchy's and the provenance's tables: encode beside decode."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import DamagedCache
from gocell_cli.storage.schema import Provenance
from gocell_cli.storage.tables import (
    SCHEMAS,
    hierarchy_tables,
    provenance_tables,
    read_hierarchy,
    read_provenance,
)

PROVENANCE = Provenance((("YAL001C_tm1", "tfc3-1"), ("YAL002W_dma1", "")), ("ts", "deletion"), ("YAL001C+YAL002W", ""))


def write(folder: Path, tables: dict[str, pa.Table]) -> None:
    for path, table in tables.items():
        file = folder / f"{path}.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(table, file)


def test_a_hierarchy_comes_back(toy_plan: BuildPlan, tmp_path: Path) -> None:
    expected = toy_plan.hierarchy
    write(tmp_path, hierarchy_tables(expected))
    found = read_hierarchy(tmp_path, expected.level_by, expected.level_direction)
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray):
            assert getattr(found, name).dtype == value.dtype, name
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)
        else:
            assert getattr(found, name) == value, name


@pytest.mark.parametrize(
    "provenance",
    [PROVENANCE, Provenance((), (), ()), replace(PROVENANCE, fitness=(None, 0.7345))],
    ids=["some", "none", "fitness"],
)
def test_provenance_comes_back(provenance: Provenance, tmp_path: Path) -> None:
    write(tmp_path, provenance_tables(provenance))
    assert read_provenance(tmp_path) == provenance


def test_strains_of_before_their_fitness_was_kept(tmp_path: Path) -> None:
    tables = provenance_tables(replace(PROVENANCE, fitness=(None, 0.7345)))
    write(tmp_path, tables | {"provenance/strains": tables["provenance/strains"].drop_columns("fitness")})
    assert read_provenance(tmp_path) == PROVENANCE


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_fitness_that_is_no_number_is_damage(value: float, tmp_path: Path) -> None:
    write(tmp_path, provenance_tables(replace(PROVENANCE, fitness=(None, value))))
    with pytest.raises(DamagedCache, match="a fitness that is no finite number"):
        read_provenance(tmp_path)


def test_every_table_has_its_schema(toy_plan: BuildPlan) -> None:
    tables = hierarchy_tables(toy_plan.hierarchy) | provenance_tables(PROVENANCE)
    assert {path: table.schema for path, table in tables.items()} == SCHEMAS


@pytest.mark.parametrize("path", [p for p in SCHEMAS if p.startswith("hierarchy/")])
def test_a_table_with_another_schema_is_damage(path: str, toy_plan: BuildPlan, tmp_path: Path) -> None:
    tables = hierarchy_tables(toy_plan.hierarchy)
    renamed = ["other", *tables[path].schema.names[1:]]
    write(tmp_path, tables | {path: tables[path].rename_columns(renamed)})
    with pytest.raises(DamagedCache, match="columns are not those of the format"):
        read_hierarchy(tmp_path, "stratum", "root_down")


def test_a_missing_table_is_damage(toy_plan: BuildPlan, tmp_path: Path) -> None:
    tables = hierarchy_tables(toy_plan.hierarchy)
    del tables["hierarchy/edges"]
    write(tmp_path, tables)
    with pytest.raises(DamagedCache, match=r"edges\.parquet: not a readable Parquet table"):
        read_hierarchy(tmp_path, "stratum", "root_down")
