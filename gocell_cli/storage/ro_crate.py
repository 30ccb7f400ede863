"""`ro-crate-metadata.json`: what a cache is, file by file, as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1).

A pure function of the manifest, as `views.sql` is. It names no author and no publisher: a manifest knows of none.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gocell_cli.storage.about import LICENCE, LICENCE_TEXT, dois, files, published, summary, title
from gocell_cli.storage.json_schemas import load_schema
from gocell_cli.storage.records import CROISSANT, MANIFEST, RO_CRATE, VIEWS, Manifest
from gocell_cli.typed_file import json_text

PROFILE = "https://w3id.org/ro/crate/1.1"
NO_DATE = "1970-01-01"
"""For a cache of which no date is known, since RO-Crate asks for one: the epoch, as reproducible archives have it."""
FORMATS = {"parquet": "application/vnd.apache.parquet", "lmdb": "application/octet-stream"}
"""Media types by suffix; LMDB has none of its own."""
WITHOUT_HASH = {
    MANIFEST: ("Counts, configuration, and the hash of every file.", "application/json"),
    VIEWS: ("DuckDB views of the tables, joined by name.", "application/sql"),
    CROISSANT: ("The tables for loaders of machine learning, as Croissant 1.0.", "application/ld+json"),
}
"""Files that are made when this one is: what they are, and their media type."""


def ro_crate(manifest: Manifest) -> str:
    """Return the JSON-LD document: the metadata's own entity, the cache, what it refers to, and one entity a file."""
    parts = [*_tables_and_shards(manifest), *_others()]
    papers = [{"@id": doi, "@type": "ScholarlyArticle", "name": doi} for doi in dois(manifest)]
    graph = [_about(), _root(manifest, parts), *_context(manifest), *papers, *parts]
    return json_text({"@context": f"{PROFILE}/context", "@graph": graph}, indent=1) + "\n"


EXPORTED = {
    ".parquet": FORMATS["parquet"], ".tsv": "text/tab-separated-values", ".csv": "text/csv", ".cx2": "application/json",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".graphml": "application/graphml+xml",
}  # fmt: skip
"""Media types of what `gocell export` writes; all else is plain text."""


def exported_crate(manifest: Manifest, written: Sequence[Path]) -> str:
    """Return the document of files that were exported of a cache into one folder; they are read for their hashes."""
    parts = [
        {
            "@id": quote(path.name),
            "@type": "File",
            "name": path.name,
            "description": f"Exported by gocell of the cache {manifest.fingerprint}.",
            "encodingFormat": EXPORTED.get(path.suffix, "text/plain"),
            "contentSize": str(path.stat().st_size),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in written
    ]
    papers = [{"@id": doi, "@type": "ScholarlyArticle", "name": doi} for doi in dois(manifest)]
    licence, program, action = _context(manifest)
    graph = [_about(), _root(manifest, parts), licence, program, {**action, "name": "gocell export"}, *papers, *parts]
    return json_text({"@context": f"{PROFILE}/context", "@graph": graph}, indent=1) + "\n"


def _about() -> dict[str, Any]:
    return {"@id": RO_CRATE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": PROFILE}}


def _root(manifest: Manifest, parts: list[dict[str, Any]]) -> dict[str, Any]:
    day = published(manifest)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title(manifest),
        "description": summary(manifest),
        "datePublished": NO_DATE if day is None else day.isoformat(),
        "license": {"@id": "#licence"},
        "identifier": manifest.fingerprint,
        "hasPart": [{"@id": part["@id"]} for part in parts],
    }
    cited = [{"@id": doi} for doi in dois(manifest)]
    # RO-Crate's form: one value stands alone, and none is left out
    return {**root, "citation": cited if len(cited) > 1 else cited[0]} if cited else root


def _context(manifest: Manifest) -> list[dict[str, Any]]:
    """What the cache refers to: its licence, and the program that made it of its sources."""
    name, version = "gocell", manifest.package_version
    return [
        {"@id": "#licence", "@type": "CreativeWork", "name": LICENCE, "description": LICENCE_TEXT},
        {"@id": "#gocell", "@type": "SoftwareApplication", "name": name, "version": version},
        {
            "@id": "#build",
            "@type": "CreateAction",
            "name": "gocell build-cache",
            "instrument": {"@id": "#gocell"},
            "result": {"@id": "./"},
        },
    ]


def _tables_and_shards(manifest: Manifest) -> list[dict[str, Any]]:
    told = {path: str(table["description"]) for path, table in load_schema("hierarchy")["$defs"].items()}
    samples = str(load_schema("samples")["description"])
    return [
        {
            "@id": file.path,
            "@type": "File",
            "name": file.path,
            # of a table by its path without suffix; the shards are all alike
            "description": f"A row: {told.get(file.path.rpartition('.')[0], samples)}",
            "encodingFormat": FORMATS[file.path.rpartition(".")[2]],
            "contentSize": str(file.bytes),
            "sha256": file.sha256,
        }
        for file in files(manifest)
    ]


def _others() -> list[dict[str, Any]]:
    return [
        {"@id": name, "@type": "File", "name": name, "description": text, "encodingFormat": kind}
        for name, (text, kind) in WITHOUT_HASH.items()
    ]
