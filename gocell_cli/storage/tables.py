"""The hierarchy's and the provenance's Parquet tables: encode beside decode."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gocell_cli.errors import DamagedCache
from gocell_cli.free_memory import require_memory
from gocell_cli.gene_channels import Inputs
from gocell_cli.storage.parquet_footer import decoded_bytes, holds_null
from gocell_cli.storage.schema import Hierarchy, Provenance

HIERARCHY_DIR, PROVENANCE_DIR, SAMPLES_DIR = "hierarchy", "provenance", "samples"
TERM_ARRAYS = ("go_level", "go_depth", "stratum", "height", "level", "direct_genes", "contained_genes")
STRINGS = pa.list_(pa.string())
LATER_COLUMNS = {"hierarchy/genes": 1, "provenance/strains": 1}
"""How many of a table's last columns came after the first caches, which lack them."""
NULLABLE = {"provenance/strains": ("fitness",)}
"""Columns that need not say anything of a row."""
SCHEMAS: Mapping[str, pa.Schema] = {
    "hierarchy/terms": pa.schema(
        [("id", pa.string()), ("name", pa.string()), ("namespace", pa.string())]
        + [(name, pa.int32()) for name in TERM_ARRAYS]
    ),
    "hierarchy/genes": pa.schema(
        [
            ("systematic", pa.string()),
            ("standard", pa.string()),
            ("aliases", STRINGS),
            # the CSR pointers as a column: there is one more of them than genes, so where a gene begins and its count
            ("first_row", pa.int64()),
            ("row_count", pa.int64()),
            ("ids", STRINGS),
        ]
    ),
    "hierarchy/edges": pa.schema([("child", pa.int32()), ("parent", pa.int32())]),
    "hierarchy/term_genes": pa.schema([("term", pa.int32()), ("gene", pa.int32())]),
    "hierarchy/gene_rows": pa.schema([("row", pa.int32())]),
    "provenance/strains": pa.schema(
        [("strain", pa.string()), ("allele", pa.string()), ("kind", pa.string()), ("fitness", pa.float64())]
    ),
    "provenance/query_groups": pa.schema([("genes", pa.string())]),
}

INPUTS = "hierarchy/inputs"
"""A table of caches with channels alone: of which gene each entry of hierarchy/genes is a state, and which."""
ALL_SCHEMAS: Mapping[str, pa.Schema] = {
    **SCHEMAS,
    INPUTS: pa.schema(
        [("gene", pa.string()), ("channel", pa.string()), ("base", pa.float64()), ("state", pa.float64())]
    ),
}


def hierarchy_tables(h: Hierarchy) -> dict[str, pa.Table]:
    """Encode a hierarchy as its five tables, and that of its inputs where it has any, by path without suffix."""
    columns = {
        "hierarchy/terms": [
            list(h.term_ids),
            list(h.term_names),
            list(h.term_namespaces),
            *(getattr(h, name) for name in TERM_ARRAYS),
        ],
        "hierarchy/genes": [
            list(h.gene_names),
            list(h.gene_standard),
            [list(a) for a in h.gene_aliases],
            h.gene_ptr[:-1],
            np.diff(h.gene_ptr),
            [list(i) for i in h.gene_ids or ((),) * len(h.gene_names)],
        ],
        "hierarchy/edges": [h.edge_child, h.edge_parent],
        "hierarchy/term_genes": [h.row_term, h.row_gene],
        "hierarchy/gene_rows": [h.gene_rows],
    }
    if h.inputs is not None:
        columns[INPUTS] = [list(h.inputs.gene), list(h.inputs.channel), h.inputs.base, h.inputs.state]
    return {path: _table(path, values) for path, values in columns.items()}


def read_hierarchy(directory: Path, level_by: str, level_direction: str) -> Hierarchy:
    """Decode the five tables of a cache's hierarchy; raises DamagedCache where one is not as the format says."""
    terms, genes, edges, rows, gene_rows = (
        _read(directory, f"hierarchy/{name}") for name in ("terms", "genes", "edges", "term_genes", "gene_rows")
    )
    first, count = _array(genes, "first_row"), _array(genes, "row_count")
    # each gene must begin where the one before ends, or the pair of columns is no list of pointers
    if not np.array_equal(first[1:], (first + count)[:-1]):
        raise DamagedCache(f"{directory}: hierarchy/genes: first_row and row_count do not follow on each other")
    return Hierarchy(
        term_ids=_strings(terms, "id"),
        term_names=_strings(terms, "name"),
        term_namespaces=_strings(terms, "namespace"),
        **{name: _array(terms, name) for name in TERM_ARRAYS},
        gene_names=_strings(genes, "systematic"),
        gene_standard=_strings(genes, "standard"),
        gene_aliases=tuple(tuple(a) for a in genes.column("aliases").to_pylist()),
        edge_child=_array(edges, "child"),
        edge_parent=_array(edges, "parent"),
        row_term=_array(rows, "term"),
        row_gene=_array(rows, "gene"),
        # the end of the last gene's rows, which no row of the table begins
        gene_ptr=np.append(first, first[-1:] + count[-1:]),
        gene_rows=_array(gene_rows, "row"),
        level_by=level_by,
        level_direction=level_direction,
        gene_ids=tuple(map(tuple, genes.column("ids").to_pylist())) if "ids" in genes.column_names else (),
        inputs=_read_inputs(directory),
    )


def _read_inputs(directory: Path) -> Inputs | None:
    if not (directory / f"{INPUTS}.parquet").exists():
        return None
    found = _read(directory, INPUTS)
    return Inputs(_strings(found, "gene"), _strings(found, "channel"), _array(found, "base"), _array(found, "state"))


def provenance_tables(provenance: Provenance) -> dict[str, pa.Table]:
    """Encode strains and query groups as their two tables."""
    # zip of no strains gives no columns at all, where two empty ones are wanted
    strains = [list(column) for column in zip(*provenance.strains, strict=True)] or [[], []]
    strains += [list(provenance.kinds), list(provenance.fitness or (None,) * len(provenance.strains))]
    return {
        "provenance/strains": _table("provenance/strains", strains),
        "provenance/query_groups": _table("provenance/query_groups", [list(provenance.query_groups)]),
    }


def read_provenance(directory: Path) -> Provenance:
    """Decode strains and query groups."""
    strains = _read(directory, "provenance/strains")
    fitness = strains.column("fitness").to_pylist() if "fitness" in strains.column_names else []
    if not all(value is None or math.isfinite(value) for value in fitness):
        raise DamagedCache(f"{directory}: provenance/strains: a fitness that is no finite number")
    return Provenance(
        strains=tuple(zip(_strings(strains, "strain"), _strings(strains, "allele"), strict=True)),
        kinds=_strings(strains, "kind"),
        query_groups=_strings(_read(directory, "provenance/query_groups"), "genes"),
        # of strains of which nothing is known there is nothing, as where the column is not there
        fitness=tuple(fitness) if any(value is not None for value in fitness) else (),
    )


def provenance_counts(directory: Path) -> tuple[int, int]:
    """Return how many strains and query groups there are, by the tables' footers."""
    counts = []
    for path in ("provenance/strains", "provenance/query_groups"):
        file = directory / f"{path}.parquet"
        try:
            counts.append(int(pq.read_metadata(file).num_rows))
        except (pa.ArrowException, OSError) as error:
            raise DamagedCache(f"{file}: not a readable Parquet table ({error})") from error
    return counts[0], counts[1]


def _table(path: str, values: list[Any]) -> pa.Table:
    schema = ALL_SCHEMAS[path]
    # types are given, not guessed: of an empty list Arrow would make a column of type null
    arrays = [pa.array(v, type=f.type) for v, f in zip(values, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(directory: Path, path: str) -> pa.Table:
    file = directory / f"{path}.parquet"
    try:
        require_memory(decoded_bytes(pq.read_metadata(file)), f"{file}: what its footer says it holds")
        # small tables, read once: to check the pages' own checksums costs little here, nor do all offsets and letters
        # (not pq.read_table: it loads Arrow's datasets, and pandas where that is installed, 0.35 s)
        with pq.ParquetFile(file, page_checksum_verification=True) as found:
            table = found.read()
        table.validate(full=True)
        columns = str(table.schema)  # here, where a name that is no UTF-8 is told
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamagedCache(f"{file}: not a readable Parquet table ({error})") from error
    whole = ALL_SCHEMAS[path]
    first = pa.schema(list(whole)[: len(whole) - LATER_COLUMNS.get(path, 0)])
    if not any(table.schema.equals(schema) for schema in (whole, first)):
        raise DamagedCache(f"{file}: its columns are not those of the format", why=columns)
    full = [name for name in table.column_names if name not in NULLABLE.get(path, ())]
    null = next((name for name in full if holds_null(table.column(name))), None)
    if null is not None:
        raise DamagedCache(f"{file}: a null in {null}")
    return table


def _array(table: pa.Table, name: str) -> np.ndarray:
    return np.ascontiguousarray(table.column(name).to_numpy())


def _strings(table: pa.Table, name: str) -> tuple[str, ...]:
    return tuple(table.column(name).to_pylist())
