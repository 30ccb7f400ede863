"""An annotation file of any of GO's formats, told by its content; what is none of them is named for what it is."""

import re
from pathlib import Path

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go.gaf import Gaf, parse_gaf
from gocell_cli.sources.go.gpad import is_gpad, parse_gpad
from gocell_cli.sources.go.gpi import is_gpi
from gocell_cli.sources.go.tab_columns import header_of
from gocell_cli.sources.text_file import read_bytes

GAF_OF_IT = "pass the organism's GAF or GPAD instead: geneontology.org/docs/download-go-annotations"
DISEASE = re.compile(r"(?:OMIM|ORPHA|DECIPHER|MONDO):\d+", re.IGNORECASE)


def read_annotations(path: Path) -> Gaf:
    """Read a GAF or a GPAD, of any packing and encoding that `read_bytes` knows.

    Raises InvalidInput as `read_gaf_objects` does, and for another format that is known here, naming it.
    """
    data = read_bytes(path)
    comments, first = header_of(data)
    if is_gpad(comments, first):
        return parse_gpad(data, path)
    other = "a GPI, which names genes and annotates none" if is_gpi(comments) else _other_format(first) if first else ""
    if other:
        raise InvalidInput.at(path, None, f"{other}: not a GAF or GPAD", hint=HINTS.get(other, GAF_OF_IT))
    return parse_gaf(data, path)


def _other_format(first: list[str]) -> str:
    """Say what a file with this first row is, "" where it is none that is known."""
    cells = [cell.strip("#! ").lower().replace("_", "").replace("-", "") for cell in first]
    begins = cells[0].removeprefix("format: ")
    if begins.startswith("taxid") or (len(first) >= 7 and cells[0].isdigit() and first[2].startswith("GO:")):
        return GENE2GO
    if begins.startswith(("databaseid", 'description: "hpo', "description: hpo")) or DISEASE.match(first[0]):
        return HPOA
    if "hpoid" in cells or begins.startswith(("entrezgeneid", "hpoid")):
        return HPO_GENES
    if begins.startswith(("formatversion:", "[term]")):
        return OBO
    return WEB_PAGE if begins.startswith(("<!doctype html", "<html")) else ""


GENE2GO = "NCBI's gene2go"
HPOA = "HPO's phenotype.hpoa, which annotates diseases and no genes"
HPO_GENES = "HPO's table of genes and phenotypes"
OBO = "an OBO ontology"
WEB_PAGE = "a web page"
AS_GAF = "write genes, HP ids and evidence codes as columns 3, 5 and 7 of a GAF (genes_to_phenotype.txt has them)"
HINTS = {HPOA: AS_GAF, HPO_GENES: AS_GAF, OBO: "--obo takes it, --gaf the annotations"}
