"""`croissant.json`: a cache for loaders of machine learning, as Croissant 1.0 (http://mlcommons.org/croissant/1.0).

A pure function of the manifest. Each Parquet table is a record set with all of its columns, described by the format's
JSON Schemas; `mlcroissant.Dataset("croissant.json").records("samples")` reads the samples of a cache. Croissant joins
no lists: the numbers of genes in a sample stay numbers.
"""

from typing import Any

from gocell_cli.storage.about import LICENCE, LICENCE_TEXT, dois, files, published, summary, title
from gocell_cli.storage.json_schemas import load_schema
from gocell_cli.storage.records import Manifest
from gocell_cli.typed_file import json_text

VERSION = "http://mlcommons.org/croissant/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that Croissant 1.0 asks of every document; loaders warn where a word of it is missing."""
PARQUET, LMDB = "application/x-parquet", "application/octet-stream"
TYPES = {"string": "sc:Text", "double": "sc:Float", **dict.fromkeys(("int16", "int32", "int64"), "sc:Integer")}
"""Croissant's type of each Arrow type in the tables."""
SHARDS = "shards"


def croissant(manifest: Manifest) -> str:
    """Return the JSON-LD document; without samples where a shard has no Parquet file, since Croissant knows no LMDB."""
    day, papers = published(manifest), dois(manifest)
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": title(manifest),
        "description": summary(manifest),
        "license": {"@type": "sc:CreativeWork", "name": LICENCE, "description": LICENCE_TEXT},
        "version": manifest.package_version,
        "distribution": [_file_object(file.path, file.bytes, file.sha256) for file in files(manifest)],
        "recordSet": _tables(manifest),
    }
    if day is not None:
        document["datePublished"] = day.isoformat()
    if papers:
        document |= {"url": papers[0], "citeAs": "; ".join(papers)}
    if manifest.shards and all("parquet" in shard.files for shard in manifest.shards):
        document["distribution"].append(_file_set())
        samples = _with_others(load_schema("samples"), manifest)
        document["recordSet"].append(_record_set("samples", samples, {"fileSet": {"@id": SHARDS}}))
    return json_text(document, indent=1) + "\n"


def _with_others(samples: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """The samples' schema with the columns of the phenotypes after the first, each by its name."""
    others = {}
    for number, phenotype in enumerate(manifest.phenotypes[1:], start=1):
        for pattern, told in samples["patternProperties"].items():
            column = f"{pattern.lstrip('^').partition('_')[0]}_{number}"
            others[column] = {**told, "description": f"{phenotype['kind']}: {told['description']}"}
    return {**samples, "properties": {**samples["properties"], **others}}


def _file_object(path: str, size: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        # relative to the document's folder
        "contentUrl": path,
        "contentSize": f"{size} B",
        "encodingFormat": PARQUET if path.endswith(".parquet") else LMDB,
        "sha256": sha256,
    }


def _file_set() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": SHARDS,
        "name": SHARDS,
        "description": "The samples, shard by shard.",
        "encodingFormat": PARQUET,
        "includes": "samples/*.parquet",
    }


def _tables(manifest: Manifest) -> list[dict[str, Any]]:
    """A record set for each table of the hierarchy and the provenance, called as its file is."""
    tables = load_schema("hierarchy")["$defs"]
    present = {file.path.removesuffix(".parquet"): file.path for file in manifest.files}
    return [
        _record_set(path.rpartition("/")[2], table, {"fileObject": {"@id": present[path]}})
        for path, table in tables.items()
        if path in present
    ]


def _record_set(name: str, table: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": table["description"],
        "field": [_field(name, column, told, source) for column, told in table["properties"].items()],
    }


def _field(record_set: str, column: str, told: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    kind = str(told["x-dtype"])
    many = kind.startswith("list<")
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column}",
        "name": column,
        "description": told["description"],
        "dataType": TYPES[kind.removeprefix("list<").removesuffix(">")],
        **({"repeated": True} if many else {}),
        "source": {**source, "extract": {"column": column}},
    }
