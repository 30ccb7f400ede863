"""`--gene-table FILE`: all genes of an organism, as GPI or as a table of id, symbol and synonyms."""

from collections.abc import Iterable
from pathlib import Path

from gocell_cli.domain.genes import Gene, GeneTable, make_gene_table
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go.gene_naming import own_gene
from gocell_cli.sources.go.gpi import is_gpi, read_gpi
from gocell_cli.sources.go.tab_columns import header_of
from gocell_cli.sources.text_file import decode, lines_of, read_bytes

COLUMNS = ("id", "symbol", "synonyms")
HEADERS = {
    **dict.fromkeys(("id", "gene", "gene_id", "systematic", "systematic_name", "locus", "locus_tag"), "id"),
    **dict.fromkeys(("symbol", "standard", "standard_name", "gene_symbol", "name"), "symbol"),
    **dict.fromkeys(("synonyms", "synonym", "aliases", "alias"), "synonyms"),
}
"""What the columns of a table may be called, in any case."""


def read_gene_table(path: Path) -> GeneTable:
    """Read a gene table.

    A GPI (`!gpi-version`) has one gene an object, called by its id. Else the columns are tab-separated: id, which
    becomes the systematic name, symbol and synonyms joined by `|`, in this order or as a header says; the last ones
    may be left out. Lines that begin with `#` or `!` are comments. Raises InvalidInput, with the line, for a row
    without an id, an id that stands there twice, and a table without a row.
    """
    data = read_bytes(path)
    if is_gpi(header_of(data)[0]):
        return _table(path, map(own_gene, read_gpi(path)))
    lines = ((n, line.rstrip("\r")) for n, line in lines_of(decode(data, path)))
    rows = [(n, line.split("\t")) for n, line in lines if line.strip() and line[0] not in "#!"]
    place = _header(rows[0][1]) if rows else {}
    if place:
        rows = rows[1:]
    place = place or {name: i for i, name in enumerate(COLUMNS)}
    genes: dict[str, tuple[int, Gene]] = {}
    for number, cells in rows:
        gene = _gene([cell.strip() for cell in cells], place)
        if not gene.systematic:
            raise InvalidInput.at(path, number, "no id in this row")
        if gene.systematic in genes:
            first, _ = genes[gene.systematic]
            raise InvalidInput.at(path, number, f"{gene.systematic} stands here again; first in line {first}")
        genes[gene.systematic] = (number, gene)
    return _table(path, (gene for _, gene in genes.values()))


def _table(path: Path, genes: Iterable[Gene]) -> GeneTable:
    table = make_gene_table(genes)
    if not len(table):
        raise InvalidInput.at(path, None, "no gene in it", hint="a GPI, or columns id, symbol, synonyms")
    return table


def _header(cells: list[str]) -> dict[str, int]:
    """Return where each column stands, {} where the row is no header: it is one where it names the id."""
    place = {HEADERS[name]: i for i, cell in enumerate(cells) if (name := cell.strip().lower()) in HEADERS}
    return place if "id" in place else {}


def _gene(cells: list[str], place: dict[str, int]) -> Gene:
    identifier, symbol, synonyms = (cells[i] if (i := place.get(c, len(cells))) < len(cells) else "" for c in COLUMNS)
    aliases = tuple(dict.fromkeys(s.strip() for s in synonyms.split("|") if s.strip()))
    return Gene(identifier, symbol, aliases)
