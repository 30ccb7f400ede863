"""SGD_features.tab -> GeneTable (every ORF), and the list of essential genes.

16 tab-separated columns, latin-1: 1 SGD's id, 2 feature type, 3 qualifier, 4 systematic name, 5 standard name,
6 aliases separated by `|`.
"""

from pathlib import Path

from gocell_cli.domain.genes import Gene, GeneTable, make_gene_table
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, lines_of, read_bytes

COLUMNS = 16


def read_sgd_features(path: Path) -> GeneTable:
    """Return all ORFs of an SGD feature table; raises InvalidInput with the line of a short row."""
    # fields[N - 1] is column N; latin-1 gives every byte a letter, so decoding cannot fail.
    genes: dict[str, Gene] = {}
    for number, line in lines_of(decode(read_bytes(path), path, "latin-1")):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) < COLUMNS:
            raise InvalidInput.at(path, number, f"{len(fields)} tab-separated columns where SGD has {COLUMNS}")
        if fields[1] != "ORF":  # tRNAs, centromeres, introns, ...: deletion screens are of ORFs
            continue
        if fields[3] in genes:
            raise InvalidInput.at(path, number, f"ORF {fields[3]} stands here for the second time")
        aliases = tuple(a for a in fields[5].split("|") if a)
        ids = (fields[0], f"SGD:{fields[0]}") if fields[0] else ()
        genes[fields[3]] = Gene(fields[3], fields[4], aliases, fields[2], ids)
    if not genes:
        raise InvalidInput.at(path, None, "no ORF row: not an SGD feature table")
    return make_gene_table(list(genes.values()))


def read_essential_genes(path: Path) -> tuple[str, ...]:
    """Return the names of a one-a-line list whose first line is a sentence, not a gene."""
    lines = decode(read_bytes(path), path).splitlines()
    return tuple(sorted({line.strip() for line in lines[1:] if line.strip()}))
