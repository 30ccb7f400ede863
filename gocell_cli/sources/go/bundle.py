"""The bundled release: GO, yeast annotations, ORFs and essential genes as Parquet, written and read here.

`write_bundle` and the `load_*` functions stand side by side; `bundle.json` records sources, releases and
the logical hash of each table (sha256 over its column names and values), which does not depend on the
Parquet writer's version.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.ontology import Edges, Ontology
from gocell_cli.errors import SourceMissing
from gocell_cli.gene_names import NameCounts

# gocell_cli/data: sources/go is two folders below the package.
BUNDLE_DIR = Path(__file__).resolve().parents[2] / "data"
TABLES = ("terms", "edges", "obsolete", "annotations", "objects", "genes", "essential")


def bundle_path(table: str) -> Path:
    """Path of one bundled table."""
    return BUNDLE_DIR / f"{table}.parquet"


def bundle_record() -> dict[str, Any]:
    """Return bundle.json: sources, releases, and rows and logical hash of each table."""
    record: dict[str, Any] = json.loads((BUNDLE_DIR / "bundle.json").read_text("utf-8"))
    return record


def _read(name: str) -> pa.Table:
    """Read a bundled table; raises SourceMissing where the installation is damaged."""
    try:
        return pq.read_table(bundle_path(name))
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceMissing(
            f"{bundle_path(name)}: the bundled release is damaged",
            why=str(error),
            hint="pip install --force-reinstall --no-deps gocell",
        ) from error


def logical_hash(table: pa.Table) -> str:
    """Sha256 over column names and values, the same whatever wrote the Parquet file."""
    # Over JSON, not over Parquet's or Arrow's bytes: those change with the writer's version and with slicing.
    digest = hashlib.sha256()
    for name in table.column_names:
        values = json.dumps([name, table.column(name).to_pylist()], ensure_ascii=False, separators=(",", ":"))
        digest.update(values.encode())
    return digest.hexdigest()


def ontology_tables(ontology: Ontology) -> dict[str, pa.Table]:
    """Encode an ontology as the tables `terms`, `edges` and `obsolete` (ids, and what replaces each)."""
    # An ontology looks up alt id -> term; the table has all alt ids of a term in its row.
    alt_ids: dict[str, list[str]] = {}
    for alt, primary in ontology.alt_ids.items():
        alt_ids.setdefault(primary, []).append(alt)
    terms = pa.table(
        {
            "id": list(ontology.ids),
            "name": list(ontology.names),
            "namespace": list(ontology.namespaces),
            "alt_ids": pa.array([sorted(alt_ids.get(t, [])) for t in ontology.ids], pa.list_(pa.string())),
        }
    )
    edges = pa.table(
        {
            "child": np.concatenate([e.child for e in ontology.edges.values()]),
            "parent": np.concatenate([e.parent for e in ontology.edges.values()]),
            "relation": [r for r, e in ontology.edges.items() for _ in range(len(e))],
        }
    )
    old = sorted(ontology.obsolete)
    replaced_by = pa.array([list(ontology.replaced.get(t, ())) for t in old], pa.list_(pa.string()))
    obsolete = pa.table({"id": pa.array(old, pa.string()), "replaced_by": replaced_by})
    return {"terms": terms, "edges": edges, "obsolete": obsolete}


def load_ontology() -> Ontology:
    """Decode the bundled ontology."""
    record = bundle_record()["ontology"]
    terms, edges, obsolete = (_read(table) for table in ("terms", "edges", "obsolete"))
    old, replaced_by = (obsolete.column(c).to_pylist() for c in ("id", "replaced_by"))
    ids = terms.column("id").to_pylist()
    child, parent = (edges.column(c).to_numpy() for c in ("child", "parent"))
    # Relations as codes: each relation's edges are then picked by one comparison of integers.
    relation = edges.column("relation").combine_chunks().dictionary_encode()
    codes = relation.indices.to_numpy()
    return Ontology(
        source=f"bundled GO ({record['release']})",
        release=record["release"],
        ids=tuple(ids),
        names=tuple(terms.column("name").to_pylist()),
        namespaces=tuple(terms.column("namespace").to_pylist()),
        alt_ids={a: i for i, alts in zip(ids, terms.column("alt_ids").to_pylist(), strict=True) for a in alts},
        edges={
            name: Edges(child=child[codes == code], parent=parent[codes == code])
            for code, name in enumerate(relation.dictionary.to_pylist())
        },
        dropped=record["dropped"],
        obsolete=frozenset(old),
        replaced={t: tuple(new) for t, new in zip(old, replaced_by, strict=True) if new},
    )


def load_term_names() -> list[tuple[str, str]]:
    """Decode the ids and names of the bundled terms alone, for whoever cannot wait for the edges."""
    terms = _read("terms")
    return list(zip(terms.column("id").to_pylist(), terms.column("name").to_pylist(), strict=True))


def annotation_tables(rows: AnnotationRows) -> dict[str, pa.Table]:
    """Encode annotation rows as the tables `annotations` and `objects` (systematic names of a row's genes)."""
    annotations = pa.table(
        {
            "object": rows.object_of_row,
            "term": list(rows.term),
            "qualifier": list(rows.qualifier),
            "evidence": list(rows.evidence),
            "date": rows.date,
        }
    )
    return {"annotations": annotations, "objects": pa.table({"names": [list(n) for n in rows.names]})}


def load_annotations() -> AnnotationRows:
    """Decode the bundled annotations."""
    table = _read("annotations")
    names = _read("objects").column("names").to_pylist()
    found = bundle_record()["annotations"]["found"]
    return AnnotationRows(
        source=f"bundled GOA yeast ({bundle_record()['annotations']['release']})",
        names=tuple(tuple(n) for n in names),
        object_of_row=table.column("object").to_numpy(),
        term=tuple(table.column("term").to_pylist()),
        qualifier=tuple(table.column("qualifier").to_pylist()),
        evidence=tuple(table.column("evidence").to_pylist()),
        date=table.column("date").to_numpy(),
        found=NameCounts(**{**found, "unknown": tuple(found["unknown"]), "ambiguous": ()}),
    )


def gene_tables(genes: GeneTable, essential: tuple[str, ...]) -> dict[str, pa.Table]:
    """Encode the ORFs and the names of essential genes as the tables `genes` and `essential`."""
    table = pa.table(
        {
            "systematic": list(genes.systematic),
            "standard": list(genes.standard),
            "aliases": pa.array([list(a) for a in genes.aliases], pa.list_(pa.string())),
            "qualifier": list(genes.qualifier),
            "ids": pa.array([list(i) for i in genes.ids or ((),) * len(genes)], pa.list_(pa.string())),
        }
    )
    return {"genes": table, "essential": pa.table({"systematic": list(essential)})}


def load_genes() -> GeneTable:
    """Decode the bundled ORFs."""
    table = _read("genes")
    return GeneTable(
        systematic=tuple(table.column("systematic").to_pylist()),
        standard=tuple(table.column("standard").to_pylist()),
        aliases=tuple(tuple(a) for a in table.column("aliases").to_pylist()),
        qualifier=tuple(table.column("qualifier").to_pylist()),
        ids=tuple(tuple(i) for i in table.column("ids").to_pylist()),
    )


def load_essential() -> tuple[str, ...]:
    """Decode the bundled names of essential genes, dubious ORFs included."""
    return tuple(_read("essential").column("systematic").to_pylist())


def write_bundle(directory: Path, tables: dict[str, pa.Table], record: dict[str, Any]) -> None:
    """Write every table and bundle.json into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        # Level 19, the slow end of zstd: written once for each release, downloaded with every installation.
        pq.write_table(tables[name], directory / f"{name}.parquet", compression="zstd", compression_level=19)
    hashes = {n: {"rows": tables[n].num_rows, "logical_sha256": logical_hash(tables[n])} for n in TABLES}
    # Sorted keys, one final newline: the same bundle gives the same bytes, and a diff shows what changed.
    text = json.dumps({**record, "tables": hashes}, indent=2, sort_keys=True, ensure_ascii=False)
    (directory / "bundle.json").write_text(text + "\n", "utf-8")
