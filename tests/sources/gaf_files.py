"""Rows of GAFs as GOA (human), WormBase, MGI and SGD lay them out, to be annotated to any term."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Organism:
    """One GAF's first columns: database, taxon, object type, and its genes as (id, symbol, name, synonyms)."""

    database: str
    taxon: str
    kind: str
    genes: tuple[tuple[str, str, str, str], ...]


HUMAN = Organism(
    "UniProtKB",
    "9606",
    "protein",
    (
        ("A0A024RBG1", "NUDT4B", "Diphosphoinositol polyphosphate phosphohydrolase NUDT4B", "NUDT4B"),
        ("P04637", "TP53", "Cellular tumor antigen p53", "TP53|P53"),
        ("P38398", "BRCA1", "Breast cancer type 1 susceptibility protein", "BRCA1|RNF53"),
        ("Q96GD4", "AURKB", "Aurora kinase B", "AURKB|AIK2|AIM1|AIRK2|ARK2|STK1|STK12|STK5"),
        ("P60709", "ACTB", "Actin, cytoplasmic 1", "ACTB"),
    ),
)
WORM = Organism(
    "WB",
    "6239",
    "gene",
    (
        ("WBGene00000001", "aap-1", "", "CELE_Y110A7A.10|Y110A7A.10"),
        ("WBGene00000002", "aat-1", "", "CELE_F27C8.1|F27C8.1"),
        ("WBGene00000003", "aat-2", "", "F07C3.7"),
        ("WBGene00004496", "rps-27", "", ""),
        ("WBGene00006924", "vig-1", "", "F56D12.5"),
    ),
)
MOUSE = Organism(
    "MGI",
    "10090",
    "protein_coding_gene",
    (
        ("MGI:101757", "Cfl1", "cofilin 1, non-muscle", "AA959946|Cof|n-cofilin"),
        ("MGI:97490", "Pax6", "paired box 6", "AEY11|Dickie's small eye|Gsfaey11|Pax-6|Sey"),
        ("MGI:102764", "Six3", "sine oculis-related homeobox 3", "E130112M24Rik|Six3a"),
        ("MGI:107793", "Hes1", "hes family bHLH transcription factor 1", "Hry|bHLHb39"),
        ("MGI:98834", "Trp53", "transformation related protein 53", "p53|p44"),
    ),
)
YEAST = Organism(
    "SGD",
    "559292",
    "protein",
    (
        ("S000000001", "TFC3", "Subunit of RNA polymerase III initiation factor complex", "YAL001C|tau 138|TSV115"),
        ("S000000002", "VPS8", "Membrane-binding component of the CORVET complex", "YAL002W|FUN15|VPL8|VPT8"),
        ("S000000003", "EFB1", "Translation elongation factor 1 beta", "YAL003W|TEF5|eEF1Balpha"),
        ("S000000004", "SSA1", "ATPase involved in protein folding", "YAL005C|YG100"),
        ("S000000005", "ERP2", "Member of the p24 family", "YAL007C"),
    ),
)


def gaf_row(organism: Organism, gene: int, term: str, *, evidence: str = "IDA", taxon: str = "", date: str = "") -> str:
    """One row of 17 columns; GAF 2.2 gives each a relation as qualifier."""
    identifier, symbol, name, synonyms = organism.genes[gene]
    cells = (organism.database, identifier, symbol, "involved_in", term, "PMID:1", evidence, "", "P", name, synonyms)
    rest = (organism.kind, taxon or f"taxon:{organism.taxon}", date or "20230306", organism.database, "", "")
    return "\t".join((*cells, *rest))


def write_gaf(path: Path, rows: list[str], version: str = "2.2") -> Path:
    """Write rows under the header that GO's releases have."""
    header = [f"!gaf-version: {version}", "!", "!date-generated: 2023-04-02T12:17", "!generated-by: GOC"]
    path.write_text("\n".join([*header, *rows]) + "\n", "utf-8")
    return path
