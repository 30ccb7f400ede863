"""Predictions of all double deletions of a set of genes, tile by tile, in Parquet parts that a later run goes on from.

A tile is a block of genes against another: 128 x 128 pairs whose rows below the first term that holds both genes are
those of 256 single deletions, which is what makes 22 million pairs a matter of minutes (algebra 4 of the design).
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64, Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predictor import head_of
from gocell_cli.training.network.dcell import DCell
from gocell_cli.whole_file import whole_file

with train_extra():
    import torch

TILE = 128
METADATA = b"gocell"


@dataclass(frozen=True)
class PairTask:
    """What is predicted: pairs i < j of `genes` (sorted indices), in units of the phenotype `kind`.

    `trained` marks the genes that a training sample deletes; `names` are those of all genes of the hierarchy.
    """

    model: DCell
    scale: LabelScale
    kind: str
    genes: Int64[np.ndarray, " genes"]
    trained: Int64[np.ndarray, " trained"]
    names: Sequence[str]

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self.genes) * (len(self.genes) - 1) // 2


def predict_all_pairs(task: PairTask, out: Path, report: Callable[[int, int], None]) -> int:
    """Write gene_1, gene_2, the phenotype (float32), of a fitness model epsilon, and how many genes are untrained.

    Parts lie in OUT.parts until all are there; the number of pairs in those of an interrupted run is returned. `report`
    gets pairs done and pairs in all. Raises UsageError where fewer than two genes are given, `out` exists or the parts
    are another model's.
    """
    if len(task.genes) < 2:
        raise UsageError(f"{len(task.genes)} genes make no pair", hint="leave out --genes for all of them")
    if out.exists():
        raise UsageError(f"{out}: is there already", hint="another --out, or remove it")
    folder = out.with_name(out.name + ".parts")
    folder.mkdir(parents=True, exist_ok=True)
    schema = _schema(task)
    tiles = [task.genes[i : i + TILE] for i in range(0, len(task.genes), TILE)]
    parts = [folder / f"{number:05d}.parquet" for number in range(len(tiles))]
    kept = sum(_rows_of(part, schema) for part in parts if part.is_file())
    single = np.zeros(len(task.names))
    single[task.genes] = _predict(task, task.genes[:, None])
    done = kept
    for number, part in enumerate(parts):
        if not part.is_file():
            done += _write_part(task, part, schema, tiles[number:], single, partial(_moved, report, done, task.pairs))
    _join(parts, schema, out)
    shutil.rmtree(folder)
    return kept


def _moved(report: Callable[[int, int], None], before: int, total: int, rows: int) -> None:
    report(before + rows, total)


def _schema(task: PairTask) -> pa.Schema:
    """The columns, and as metadata what makes predictions the same: weights with their statistics, and genes."""
    weights = hashlib.sha256()
    for name, tensor in sorted(task.model.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    genes = hashlib.sha256("\n".join(task.names[g] for g in task.genes.tolist()).encode())
    identity = {"phenotype": task.kind, "weights": weights.hexdigest(), "genes": genes.hexdigest()}
    gene = pa.dictionary(pa.int32(), pa.string())
    fields = [("gene_1", gene), ("gene_2", gene), (task.kind, pa.float32())]
    if task.kind == "fitness":
        fields.append(("epsilon", pa.float32()))
    return pa.schema([*fields, ("untrained_genes", pa.int8())], metadata={METADATA: json.dumps(identity)})


def _rows_of(part: Path, schema: pa.Schema) -> int:
    """Pairs in a finished part; raises UsageError where it is another model's or other genes'."""
    if (pq.read_schema(part).metadata or {}).get(METADATA) != schema.metadata[METADATA]:
        raise UsageError(f"{part}: of another model or other genes", hint=f"remove {part.parent}, or another --out")
    return int(pq.read_metadata(part).num_rows)


def _write_part(
    task: PairTask,
    part: Path,
    schema: pa.Schema,
    tiles: list[np.ndarray],
    single: Float64[np.ndarray, " genes"],
    report: Callable[[int], None],
) -> int:
    """Write the pairs of the first tile with itself and all later ones; returns how many they are."""
    rows = 0
    with whole_file(part) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for other in tiles:
            first, second = (x.ravel() for x in np.meshgrid(tiles[0], other, indexing="ij"))
            pairs = np.column_stack([first, second])[first < second]
            if len(pairs):
                writer.write_table(_table(task, pairs, single, schema))
            rows += len(pairs)
            report(rows)
    return rows


def _table(
    task: PairTask, pairs: Int64[np.ndarray, "pairs 2"], single: Float64[np.ndarray, " genes"], schema: pa.Schema
) -> pa.Table:
    """Predict a tile; epsilon = f_ij - f_i f_j (Mani et al. 2008, 10.1073/pnas.0712255105)."""
    value = _predict(task, pairs)
    names = pa.array(task.names)
    columns = [pa.DictionaryArray.from_arrays(pa.array(pairs[:, i].astype(np.int32)), names) for i in (0, 1)]
    columns.append(pa.array(value.astype(np.float32)))
    if task.kind == "fitness":
        columns.append(pa.array((value - single[pairs[:, 0]] * single[pairs[:, 1]]).astype(np.float32)))
    columns.append(pa.array((~np.isin(pairs, task.trained)).sum(axis=1).astype(np.int8)))
    return pa.Table.from_arrays(columns, schema=schema)


@torch.no_grad()
def _predict(task: PairTask, genotypes: Int64[np.ndarray, "n k"]) -> Float64[np.ndarray, " n"]:
    """The phenotype of each genotype on its original scale."""
    model, device = task.model, task.model.bias.device
    ptr = torch.arange(0, genotypes.size + 1, genotypes.shape[1], device=device)
    batch = Deletions.of(ptr, torch.from_numpy(genotypes.ravel()).to(device), model.index.genes)
    return task.scale.backward(head_of(model.heads(batch), model.root).double().cpu().numpy())


def _join(parts: Sequence[Path], schema: pa.Schema, out: Path) -> None:
    """Copy the parts, row group by row group, into one file that appears whole."""
    with whole_file(out) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts:
            source = pq.ParquetFile(part)
            for group in range(source.num_row_groups):
                writer.write_table(source.read_row_group(group).cast(schema))
