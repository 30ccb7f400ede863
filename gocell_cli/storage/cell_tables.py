"""A cache's samples in the layouts of DCell's and of DrugCell's trainers, line by line.

DrugCell (README, and `load_mapping` of its util) calls a genotype a cell: gene2ind and cell2ind are an index, a tab,
a name; cell2mutation has a row a cell, 1 for each deleted gene and 0 for the others, commas between; a sample is cell,
drug and value, to which NeST-VNN (`_load_train_data` of cellmaps_vnn) adds the data set. The phenotype's name stands
where the drug does.

DCell (training/code/Utility.lua, `load_GI_file`): how many genes are deleted, these genes, the value, blanks between.
Its trainer makes its index of genes itself, in the order of a Lua table, so there is none to write; it ends at a gene
that no term holds (`list2torch`), so samples that delete one are not among its own.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from gocell_cli.errors import InvalidInput
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Samples
from gocell_cli.user_text import slug

WILD_TYPE, JOINT = "WT", "+"
BLANK = re.compile(r"\s")


class CellTables:
    """The tables of a cache; `cells` are its genotypes, each once, in the order of their first samples.

    Raises InvalidInput for a gene with a blank in its name: both trainers split there.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.genes = cache.hierarchy.gene_names
        odd = next((name for name in self.genes if BLANK.search(name)), None)
        if odd is not None:
            reason = f"the gene {odd[:60]!r} has a blank in its name, at which DCell's and DrugCell's readers split"
            raise InvalidInput(f"{cache.directory}: {reason}", hint="leave the tables out with --no-tables")
        self._held = np.diff(cache.hierarchy.gene_ptr) > 0
        self._index: dict[bytes, int] = {}
        self.without_value = self.without_term = 0
        for shard in cache.shards():
            for genotype, value in zip(_genotypes(shard), shard.value.tolist(), strict=True):
                self._index.setdefault(genotype.tobytes(), len(self._index))
                self.without_value += not math.isfinite(value)
                self.without_term += math.isfinite(value) and not self._held[genotype].all()
        self.cells = [np.frombuffer(key, dtype=np.int32).tolist() for key in self._index]
        self.names = self._cell_names()

    @property
    def mutation_bytes(self) -> int:
        """Size of cell2mutation: a digit and a comma, or the line's end, for each gene of each cell."""
        return 2 * len(self.genes) * len(self.cells)

    def _cell_names(self) -> list[str]:
        names = [JOINT.join(self.genes[g] for g in cell) or WILD_TYPE for cell in self.cells]
        # genes A and B, and a gene called A+B: numbers are never two cells'
        return names if len(set(names)) == len(names) else [f"cell{i}" for i in range(len(names))]

    def gene2ind(self) -> Iterator[str]:
        """Yield the cache's genes with their indices, from 0."""
        yield from (f"{i}\t{name}" for i, name in enumerate(self.genes))

    def cell2ind(self) -> Iterator[str]:
        """Yield the cells with their indices, from 0: genes joined by `+`, WT where none is deleted."""
        yield from (f"{i}\t{name}" for i, name in enumerate(self.names))

    def cell2mutation(self) -> Iterator[str]:
        """Yield a row a cell, a column a gene."""
        wild = np.full(max(2 * len(self.genes) - 1, 0), ord(","), dtype=np.uint8)
        wild[::2] = ord("0")
        for cell in self.cells:
            row = wild.copy()
            row[2 * np.array(cell, dtype=np.int64)] = ord("1")
            yield row.tobytes().decode("ascii")

    def drugcell_samples(self) -> Iterator[str]:
        """Yield cell, phenotype, value and data set of each sample that has a value."""
        manifest = self.cache.manifest
        drug, datasets = slug(manifest.phenotype["kind"]), [slug(name) for name in manifest.datasets]
        for shard in self.cache.shards():
            for genotype, value, dataset in zip(
                _genotypes(shard), shard.value.tolist(), shard.dataset.tolist(), strict=True
            ):
                if math.isfinite(value):
                    yield f"{self.names[self._index[genotype.tobytes()]]}\t{drug}\t{value!r}\t{datasets[dataset]}"

    def dcell_samples(self) -> Iterator[str]:
        """Yield the count of deleted genes, these and the value of each sample with a value, its genes in terms."""
        for shard in self.cache.shards():
            for genotype, value in zip(_genotypes(shard), shard.value.tolist(), strict=True):
                if math.isfinite(value) and self._held[genotype].all():
                    yield " ".join([str(len(genotype)), *(self.genes[g] for g in genotype.tolist()), repr(value)])


TABLES: Mapping[str, Callable[[CellTables], Iterator[str]]] = {
    "gene2ind": CellTables.gene2ind,
    "cell2ind": CellTables.cell2ind,
    "cell2mutation": CellTables.cell2mutation,
    "drugcell_samples": CellTables.drugcell_samples,
    "dcell_samples": CellTables.dcell_samples,
}
"""Each table by the word behind the stem of its file's name."""


def _genotypes(samples: Samples) -> Iterator[np.ndarray]:
    for start, stop in pairwise(samples.gene_ptr.tolist()):
        yield samples.genes[start:stop]
