"""Predictions of all double deletions of a set of genes, tile by tile, in Parquet parts that a later run goes on from.

A tile is a block of genes against another: 128 x 128 pairs whose rows below the first term that holds both genes are
those of 256 single deletions, each computed once, which is what makes 22 million pairs a matter of minutes.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from jaxtyping import Float64, Int64

from gocell_cli.errors import DamagedCache, Diverged, GocellError, UsageError
from gocell_cli.training.inference.predict import FITNESS, Predictor
from gocell_cli.training.inference.requests import require_pairs
from gocell_cli.training.network.delta.compiler.cache import work_seconds
from gocell_cli.training.voices.names import DCELL
from gocell_cli.whole_file import TEMPORARY, whole_file, writing

TILE = 128
METADATA = b"gocell"
LOCK = ".lock"


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
    gets pairs done and pairs in all. Raises UsageError where fewer than two genes are given, `out` holds anything else,
    another process writes it now or the parts are another model's; DamagedCache where a part can't be read; Diverged
    where a prediction is no number of float32.
    """
    started = work_seconds()
    kept = _write_pairs(task, out, report)
    seconds = work_seconds() - started
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
    require_pairs(len(task.genes))
    if out.exists():
        _require_same(task, out)
    with _held(out) as folder:
        # there: of a call that was stopped when only its parts were left to remove, or that finished meanwhile
        return _require_same(task, out) if out.exists() else _write_parts(task, out, folder, report)


def _require_same(task: PairTask, out: Path) -> int:
    """Return the pairs of a file that holds what would be written; raises UsageError for anything else."""
    try:
        return _rows_of(out, _schema(task), task.pairs)
    except GocellError as error:
        why = "it holds no such pairs" if isinstance(error, DamagedCache) else "it is of another model or other genes"
        raise UsageError(f"{out}: is there already", why=why, hint="another --out, or remove it") from error


@contextmanager
def _held(out: Path) -> Iterator[Path]:
    """Hold OUT.parts against other processes, and yield it; it goes with what is ours in it once `out` is there whole.

    The kernel lets go of the lock when a process dies, however it dies. Raises UsageError where another process holds
    it. One that finished may have removed the folder, and the lock that is held here, but then its file is there.
    """
    folder = out.with_name(out.name + ".parts")
    with writing(out):
        lock = _locked(folder, out)
    try:
        with writing(out):
            _remove_unfinished(out, folder)
        yield folder
    finally:
        if out.exists():  # until then the parts are what a later call goes on from
            _clear(folder)
        lock.release()


def _locked(folder: Path, out: Path) -> FileLock:
    lock = FileLock(folder / LOCK)
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # gone: another process finished, and removed the folder, between the two lines
        with suppress(FileNotFoundError):
            try:
                # 0: refused at once, for the other may be long
                lock.acquire(timeout=0)
            except Timeout as error:
                hint = "wait for its end; or another --out"
                raise UsageError(f"{out}: another process is writing it", hint=hint) from error
            return lock


def _remove_unfinished(out: Path, folder: Path) -> None:
    """Remove what a process that was killed was writing: under the lock nobody else is."""
    for place, stem in ((folder, r"\d+"), (out.parent, re.escape(out.stem))):
        temporary = re.compile(rf"\.{stem}{TEMPORARY}{re.escape(out.suffix if place == out.parent else '.parquet')}")
        for path in place.iterdir():
            if temporary.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove parts and lock; a folder that holds anything else stays, with that in it."""
    for path in folder.iterdir():
        if path.name == LOCK or re.fullmatch(r"\d{5,}\.parquet", path.name):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _write_parts(task: PairTask, out: Path, folder: Path, report: Callable[[int, int], None]) -> int:
    schema = _schema(task)
    tiles = [task.genes[i : i + TILE] for i in range(0, len(task.genes), TILE)]
    parts = [folder / f"{number:05d}.parquet" for number in range(len(tiles))]
    there = [part.is_file() for part in parts]
    kept = sum(_rows_of(parts[n], schema, _pairs_of(tiles[n:])) for n in range(len(parts)) if there[n])
    single = np.zeros(len(task.predictor.trained))
    single[task.genes] = _predict(task, task.genes[:, None])
    done = kept
    for number, part in enumerate(parts):
        if not there[number]:
            done += _write_part(task, part, schema, tiles[number:], single, partial(_moved, report, done, task.pairs))
    _join(parts, schema, out)
    return kept


def _pairs_of(tiles: Sequence[np.ndarray]) -> int:
    """Pairs of the first tile with itself and all later ones."""
    return _pairs(len(tiles[0])) + len(tiles[0]) * sum(map(len, tiles[1:]))


def _moved(report: Callable[[int, int], None], before: int, total: int, rows: int) -> None:
    report(before + rows, total)


def _schema(task: PairTask) -> pa.Schema:
    """The columns, and as metadata what makes rows the same: weights with their statistics, their scale, genes."""
    weights = hashlib.sha256()
    for name, tensor in sorted(task.predictor.model.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    predictor, kind = task.predictor, task.predictor.kind
    names = predictor.hierarchy.gene_names
    weights.update(json.dumps(asdict(predictor.scale), sort_keys=True).encode() + _voice_bytes(predictor))
    genes = hashlib.sha256("\n".join(names[g] for g in task.genes.tolist()).encode() + predictor.trained.tobytes())
    identity = {"phenotype": kind, "weights": weights.hexdigest(), "genes": genes.hexdigest()}
    gene = pa.dictionary(pa.int32(), pa.string())
    fields = [("gene_1", gene), ("gene_2", gene), (kind, pa.float32())]
    if kind == FITNESS:
        fields.append(("epsilon", pa.float32()))
    return pa.schema([*fields, ("untrained_genes", pa.int8())], metadata={METADATA: json.dumps(identity)})


def _voice_bytes(predictor: Predictor) -> bytes:
    """What makes the answer of a run's other voices the same."""
    if predictor.voices is None or predictor.voice == DCELL:
        return b""
    return predictor.voice.encode() + predictor.voices.identity()


def _rows_of(part: Path, schema: pa.Schema, pairs: int) -> int:
    """Pairs in a finished part; raises UsageError where it is another model's or other genes'."""
    with _readable(part):
        found = pq.read_metadata(part)
        columns = found.schema.names
    if (found.metadata or {}).get(METADATA) != schema.metadata[METADATA]:
        raise UsageError(f"{part}: of another model or other genes", hint=f"remove {part.parent}, or another --out")
    if columns != schema.names:
        raise _damaged(part, f"its columns are {', '.join(columns)}")
    if found.num_rows != pairs:
        raise _damaged(part, f"it holds {found.num_rows:,} pairs, not {pairs:,}")
    return pairs


@contextmanager
def _readable(part: Path) -> Iterator[None]:
    """Turn what pyarrow says of a file that is none of its own into an error that names the part."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
        raise _damaged(part, str(error)) from error


def _damaged(part: Path, why: str) -> DamagedCache:
    return DamagedCache(f"{part}: a damaged part of the pairs", why=why, hint=f"rm {part}; then the same command again")


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
    with whole_file(part) as temporary, _writer(temporary, schema) as writer:
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
    product = single[pairs[:, 0]] * single[pairs[:, 1]]
    # `not <=`: of NaN no comparison holds
    if not max(np.abs(value).max(), np.abs(product).max()) <= np.finfo(np.float32).max:
        raise Diverged("predictions are beyond what float32 holds", hint="train on a phenotype in another unit")
    names = pa.array(predictor.hierarchy.gene_names)
    columns = [pa.DictionaryArray.from_arrays(pa.array(pairs[:, i].astype(np.int32)), names) for i in (0, 1)]
    columns.append(pa.array(value.astype(np.float32)))
    if predictor.kind == FITNESS:
        columns.append(pa.array((value - product).astype(np.float32)))
    columns.append(pa.array((~predictor.trained[pairs]).sum(axis=1).astype(np.int8)))
    return pa.Table.from_arrays(columns, schema=schema)


def _predict(task: PairTask, genotypes: Int64[np.ndarray, "n k"]) -> Float64[np.ndarray, " n"]:
    """The phenotype of each genotype on its original scale."""
    # all genotypes have equally many genes
    return task.predictor.values(np.arange(0, genotypes.size + 1, genotypes.shape[1]), genotypes.ravel())


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # a part may lie there for weeks: checksums, so that what it has become since is not taken for predictions
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)


def _join(parts: Sequence[Path], schema: pa.Schema, out: Path) -> None:
    """Copy the parts, row group by row group, into one file that appears whole."""
    with whole_file(out) as temporary, _writer(temporary, schema) as writer:
        for part in parts:
            with _readable(part):
                source = pq.ParquetFile(part, page_checksum_verification=True)
            for group in range(source.num_row_groups):
                with _readable(part):
                    rows = source.read_row_group(group).cast(schema)
                writer.write_table(rows)
