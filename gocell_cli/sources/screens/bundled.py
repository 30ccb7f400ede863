"""The two screens that come along with gocell: a free part of Kuzmin 2018's Data S1, and Collins 2007's E-MAP.

Files as their readers take them, packed; `gocell_cli/data/NOTICE` says whence, and under which licence.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NONE_REJECTED, Dataset
from gocell_cli.errors import SourceMissing
from gocell_cli.sources.screens import own_table
from gocell_cli.sources.screens.table_columns import TableOptions
from gocell_cli.sources.text_file import sha256_of

COLLINS2007 = "collins2007"
COLLINS = TableOptions(phenotype="s_score", alleles=("mutation_1", "mutation_2"), query="gene_1")


@dataclass(frozen=True)
class BundledScreen:
    """A packed table of the package's data folder, and the sha256 that it had when it was put there."""

    file: str
    sha256: str

    def path(self) -> Path:
        """Return where it lies; raises SourceMissing where it is not there, or not as it was."""
        path = Path(__file__).resolve().parents[2] / "data" / self.file
        try:
            found = sha256_of(path)
        except OSError as error:
            raise self._damaged(path, str(error)) from error
        if found != self.sha256:
            raise self._damaged(path, "its sha256 is another")
        return path

    @staticmethod
    def _damaged(path: Path, why: str) -> SourceMissing:
        hint = "pip install --force-reinstall --no-deps gocell"
        return SourceMissing(f"{path}: the bundled release is damaged", why=why, hint=hint)


SAMPLE = BundledScreen("kuzmin2018_slice.tsv.xz", "ac78e247dedc592a73512a8afb8ae57059acb64140ab53e4c0f60e82e55a448b")
"""15,095 of Data S1's rows in its own layout: fitness is there, both scores are not."""
EMAP = BundledScreen("collins2007_emap.csv.xz", "0b6982dd60688f5f61102a66a16dc98d5e382f048f0cb3f6c225662f9989b128")
"""186,500 pairs of 754 strains."""


def read_collins(genes: GeneTable) -> Dataset:
    """Read Collins et al. 2007 (doi:10.1038/nature05649), S-scores; its first gene is the query.

    Raises as `own_table.read` does, SourceMissing where the installation is damaged.
    """
    found, _ = own_table.read(EMAP.path(), genes, COLLINS)
    names = tuple(replace(counts, join=COLLINS2007) for counts in found.names)
    # whoever cannot change the table needs no list of its rows that were not taken: they are counted
    return replace(found, name=COLLINS2007, names=names, rejected=NONE_REJECTED)
