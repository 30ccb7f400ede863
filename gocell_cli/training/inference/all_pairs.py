"""Predictions of all double deletions of a set of genes, tile by tile, in Parquet parts that a later run goes on from.

A tile is a block of genes against another: 128 x 128 pairs whose rows below the first term that holds both genes are
those of 256 single deletions, each computed once, which is what makes 22 million pairs a matter of minutes.
"""

import hashlib
import json
import shutil
import time
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
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predict import FITNESS, Predictor, head_of
from gocell_cli.whole_file import whole_file

with train_extra():
    import torch

TILE = 128
METADATA = b"gocell"


@dataclass(frozen=True)
class PairTask:
    """What is predicted: pairs i < j of `genes` (sorted indices)."""

    predictor: Predictor
    genes: Int64[np.ndarray, " genes"]

    @classmethod
    def of(cls, predictor: Predictor, names: Sequence[str] | None = None) -> "PairTask":
        """All pairs of the genes named (any kind of name, `names_in`), or of all annotated genes."""
        if names is None:
            return cls(predictor, _annotated(predictor))
        genes = sorted({gene for entry in names for gene in predictor.genotype(entry)})
        return cls(predictor, np.array(genes, dtype=np.int64))

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return _pairs(len(self.genes))


@dataclass(frozen=True)
class PairSummary:
    """What was predicted, and how fast: `genome_pairs` are those of all annotated genes, and what they would take."""

    out: str
    phenotype: str
    genes: int
    pairs: int
    pairs_kept: int
    untrained_genes: int
    genes_without_annotation: int
    seconds: float
    pairs_per_second: float
    genome_pairs: int
    genome_minutes: float


def _annotated(predictor: Predictor) -> Int64[np.ndarray, " annotated"]:
    return np.unique(predictor.hierarchy.row_gene).astype(np.int64)


def _pairs(genes: int) -> int:
    return genes * (genes - 1) // 2


def predict_all_pairs(task: PairTask, out: Path, report: Callable[[int, int], None]) -> PairSummary:
    """Write gene_1, gene_2, the phenotype (float32), of a fitness model epsilon, and how many genes are untrained.

    Parts lie in OUT.parts until all are there; a later call goes on from those that an interrupted one left. `report`
    gets pairs done and pairs in all. Raises UsageError where fewer than two genes are given, `out` exists or the parts
    are another model's.
    """
    started = time.perf_counter()
    kept = _write_pairs(task, out, report)
    seconds = time.perf_counter() - started
    predictor, annotated = task.predictor, len(_annotated(task.predictor))
    rate = (task.pairs - kept) / seconds
    return PairSummary(
        out=str(out),
        phenotype=predictor.kind,
        genes=len(task.genes),
        pairs=task.pairs,
        pairs_kept=kept,
        untrained_genes=int((~predictor.trained[task.genes]).sum()),
        genes_without_annotation=len(predictor.trained) - annotated,
        seconds=round(seconds, 3),
        pairs_per_second=round(rate, 1),
        genome_pairs=_pairs(annotated),
        genome_minutes=round(_pairs(annotated) / rate / 60, 1) if rate else 0.0,
    )


def _write_pairs(task: PairTask, out: Path, report: Callable[[int, int], None]) -> int:
    """Write the file; returns how many of its pairs an earlier call had predicted."""
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
    single = np.zeros(len(task.predictor.trained))
    single[task.genes] = _predict(task, task.genes[:, None])
    done = kept
    for number, part in enumerate(parts):
        if not part.is_file():
            done += _write_part(task, part, schema, tiles[number:], single, partial(_moved, report, done, task.pairs))
    _join(parts, schema, out)
    # only when OUT is there whole: until then the parts are what a later call goes on from
    shutil.rmtree(folder)
    return kept


def _moved(report: Callable[[int, int], None], before: int, total: int, rows: int) -> None:
    report(before + rows, total)


def _schema(task: PairTask) -> pa.Schema:
    """The columns, and as metadata what makes predictions the same: weights with their statistics, and genes."""
    weights = hashlib.sha256()
    for name, tensor in sorted(task.predictor.model.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    names, kind = task.predictor.hierarchy.gene_names, task.predictor.kind
    genes = hashlib.sha256("\n".join(names[g] for g in task.genes.tolist()).encode())
    identity = {"phenotype": kind, "weights": weights.hexdigest(), "genes": genes.hexdigest()}
    gene = pa.dictionary(pa.int32(), pa.string())
    fields = [("gene_1", gene), ("gene_2", gene), (kind, pa.float32())]
    if kind == FITNESS:
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
            # a tile with itself holds each pair twice, and each gene with itself
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
    predictor = task.predictor
    names = pa.array(predictor.hierarchy.gene_names)
    columns = [pa.DictionaryArray.from_arrays(pa.array(pairs[:, i].astype(np.int32)), names) for i in (0, 1)]
    columns.append(pa.array(value.astype(np.float32)))
    if predictor.kind == FITNESS:
        columns.append(pa.array((value - single[pairs[:, 0]] * single[pairs[:, 1]]).astype(np.float32)))
    columns.append(pa.array((~predictor.trained[pairs]).sum(axis=1).astype(np.int8)))
    return pa.Table.from_arrays(columns, schema=schema)


@torch.no_grad()
def _predict(task: PairTask, genotypes: Int64[np.ndarray, "n k"]) -> Float64[np.ndarray, " n"]:
    """The phenotype of each genotype on its original scale."""
    model, device = task.predictor.model, task.predictor.model.bias.device
    # all genotypes have equally many genes
    ptr = torch.arange(0, genotypes.size + 1, genotypes.shape[1], device=device)
    batch = Deletions.of(ptr, torch.from_numpy(genotypes.ravel()).to(device), model.index.genes)
    return task.predictor.scale.backward(head_of(model.heads(batch), model.root).double().cpu().numpy())


def _join(parts: Sequence[Path], schema: pa.Schema, out: Path) -> None:
    """Copy the parts, row group by row group, into one file that appears whole."""
    with whole_file(out) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts:
            source = pq.ParquetFile(part)
            for group in range(source.num_row_groups):
                writer.write_table(source.read_row_group(group).cast(schema))
