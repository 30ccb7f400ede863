"""Predictions of all double, or triple, deletions of a set of genes, in Parquet parts that a later run goes on from.

Block by block (`combinations.py`): the rows of 128 x 128 pairs below the first term that holds both genes are those of
256 single deletions, each computed once, which is what makes 22 million pairs a matter of minutes.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from gocell_cli.errors import UsageError
from gocell_cli.free_memory import BILLION
from gocell_cli.training.data.own_label import FITNESS
from gocell_cli.training.inference.answers import Answers
from gocell_cli.training.inference.best_of import Ranking
from gocell_cli.training.inference.combinations import Combinations
from gocell_cli.training.inference.known_parts import KnownParts
from gocell_cli.training.inference.part_files import COMPRESSION, METADATA, Rows, folder_of, held, part_of
from gocell_cli.training.inference.predict import Predictor
from gocell_cli.training.inference.requests import NOUNS, require_combined, require_ranking
from gocell_cli.training.network.delta.compiler.cache import work_seconds
from gocell_cli.training.voices.names import DCELL

MEASURED_TERMS = 64
"""Genotypes of which a forecast measures how long the chosen terms take, by the dense pass."""
NUMBER = 4
"""Bytes of a float32, which hardly compresses."""


@dataclass(frozen=True)
class CombinationTask:
    """What is predicted: all `order` of `genes` (ascending indices), or the first of a ranking of them."""

    answers: Answers
    genes: Int64[np.ndarray, " genes"]
    order: int = 2
    ranking: Ranking | None = None

    def __post_init__(self) -> None:
        if self.ranking is not None:
            require_ranking(self.ranking.by, self.ranking.kind, self.order)

    @classmethod
    def of(
        cls, answers: Answers, names: Sequence[str] | None = None, order: int = 2, ranking: Ranking | None = None
    ) -> "CombinationTask":
        """All combinations of the genes named (any kind of name, `names_in`), or of all annotated genes."""
        genes = _annotated(answers.first)
        if names is not None:
            listed = sorted({gene for entry in names for gene in answers.first.genotype(entry)})
            genes = np.array(listed, dtype=np.int64)
        return cls(answers, genes, order, ranking)

    @cached_property
    def combinations(self) -> Combinations:
        """The genotypes themselves."""
        return Combinations(self.genes, self.order)

    @property
    def noun(self) -> str:
        """What the genotypes are called."""
        return NOUNS[self.order]

    def __len__(self) -> int:
        return len(self.combinations)

    @property
    def rows(self) -> int:
        """How many rows the file will have."""
        return len(self) if self.ranking is None else min(self.ranking.most, len(self))

    @property
    def ranked(self) -> "Answers":
        """What is asked of every genotype: of a ranking no terms, which are told of the first ones alone."""
        return self.answers if self.ranking is None else replace(self.answers, terms=())

    @cached_property
    def whole(self) -> Rows:
        """The file's rows."""
        return Rows(self._schema(self.answers), self.noun)

    @cached_property
    def parts(self) -> Rows:
        """The rows of its parts."""
        return Rows(self._schema(self.ranked), self.noun)

    def _schema(self, answers: Answers) -> pa.Schema:
        """The columns, and as metadata what makes rows the same: models, genes, the terms and the ranking."""
        gene = pa.dictionary(pa.int32(), pa.string())
        fields = [pa.field(f"gene_{place + 1}", gene) for place in range(self.order)]
        return pa.schema([*fields, *answers.fields([self.order])], metadata={METADATA: json.dumps(self._identity)})

    @cached_property
    def _names(self) -> pa.Array:
        return pa.array([self.answers.first.hierarchy.gene_names[gene] for gene in self.genes.tolist()], pa.string())

    @cached_property
    def _identity(self) -> dict[str, str | int]:
        first, runs = self.answers.first, self.answers.predictors
        genes = hashlib.sha256(
            "\n".join(self._names.to_pylist()).encode() + b"".join(run.trained.tobytes() for run in runs)
        )
        weights = [_weights(run) for run in runs]
        whole = weights[0] if len(runs) == 1 else hashlib.sha256("".join(weights).encode()).hexdigest()
        found: dict[str, str | int] = {"phenotype": first.kind, "weights": whole, "genes": genes.hexdigest()}
        if self.answers.terms:
            found["terms"] = ",".join(first.hierarchy.term_ids[term] for term in self.answers.terms)
        if self.ranking is not None:
            found |= {"top": self.ranking.most, "rank_by": self.ranking.by}
        return found

    def known(self) -> tuple[KnownParts, ...]:
        """Return by every run the fitness of what the genotypes have in common; () where nothing is made of it."""
        runs = self.answers.predictors if self.answers.first.kind == FITNESS else ()
        return tuple(KnownParts.of(run, self.genes, self.order) for run in runs)

    def table(
        self, answers: Answers, genotypes: Int64[np.ndarray, "n order"], known: Sequence[KnownParts] = ()
    ) -> pa.Table:
        """Predict some genotypes; raises Diverged as `Answers.columns` does."""
        columns = answers.columns(genotypes, known)
        # the genes asked for alone: every row group holds the names anew
        place = np.searchsorted(self.genes, genotypes).astype(np.int32)
        genes = [pa.DictionaryArray.from_arrays(pa.array(of), self._names) for of in place.T]
        schema = self._schema(answers)
        found = [columns[name] for name in schema.names[self.order :]]
        return pa.Table.from_arrays([*genes, *found], schema=schema)


@dataclass(frozen=True)
class Summary:
    """What was predicted, and how fast: `genome` are the genotypes of all annotated genes, and what they would take."""

    out: str
    phenotype: str
    runs: int
    order: int
    genes: int
    genotypes: int
    kept: int
    rows_written: int
    untrained_genes: int
    genes_without_annotation: int
    seconds: float
    per_second: float
    genome: int
    genome_minutes: float

    def as_json(self) -> dict[str, object]:
        """The document of `predict --json`, in which genotypes are called what they are."""
        return _as_called(self)


def _as_called(record: "Summary | Forecast") -> dict[str, object]:
    """Return a record by name, in which genotypes are called what they are: pairs, triples."""
    noun, found = NOUNS[record.order], asdict(record)
    del found["order"]
    own = {
        "genotypes": noun,
        "kept": f"{noun}_kept",
        "per_second": f"{noun}_per_second",
        "genome": f"genome_{noun}",
    }
    return {own.get(name, name): value for name, value in found.items()}


def _annotated(predictor: Predictor) -> Int64[np.ndarray, " annotated"]:
    return np.unique(predictor.hierarchy.row_gene).astype(np.int64)


def _weights(predictor: Predictor) -> str:
    """Return what is the same for runs that predict the same: weights with their statistics, scale and voices."""
    found = hashlib.sha256()
    for name, tensor in sorted(predictor.model.state_dict().items()):
        found.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    found.update(json.dumps(asdict(predictor.scale), sort_keys=True).encode())
    if predictor.voices is not None and predictor.voice != DCELL:
        found.update(predictor.voice.encode() + predictor.voices.identity())
    return found.hexdigest()


def predict_combinations(task: CombinationTask, out: Path, report: Callable[[int, int], None]) -> Summary:
    """Write the genes, the phenotype (float32), of fitness epsilon or tau, how many genes are untrained, and terms.

    Parts lie in OUT.parts until all are there; a later call goes on from those that an interrupted one left. `report`
    gets genotypes done and in all. Raises UsageError where the genes are too few, `out` holds anything else, another
    process writes it now, the parts are another model's or the disk has no room; DamagedCache where a part can't be
    read; Diverged where a prediction is no number of float32.
    """
    started = work_seconds()
    kept = _write(task, out, report)
    seconds = work_seconds() - started
    first, annotated = task.answers.first, len(_annotated(task.answers.first))
    rate, genome = (len(task) - kept) / seconds, comb(annotated, task.order)
    return Summary(
        out=str(out),
        phenotype=first.kind,
        runs=len(task.answers.predictors),
        order=task.order,
        genes=len(task.genes),
        genotypes=len(task),
        kept=kept,
        rows_written=task.rows,
        untrained_genes=int((~task.answers.trained[task.genes]).sum()),
        genes_without_annotation=len(first.trained) - annotated,
        seconds=round(seconds, 3),
        per_second=round(rate, 1),
        genome=genome,
        genome_minutes=round(genome / rate / 60, 1) if rate else 0.0,
    )


def _write(task: CombinationTask, out: Path, report: Callable[[int, int], None]) -> int:
    """Write the file; returns how many of its genotypes an earlier call had predicted."""
    require_combined(len(task.genes), task.order)
    if not out.exists():
        with held(out):
            # there: of a call that finished meanwhile
            if not out.exists():
                return _write_parts(task, out, report)
    task.whole.require_same(out, task.rows)
    if folder_of(out).exists():  # of a call that was stopped when only its parts were left to remove
        with held(out):
            pass
    return len(task)


def _write_parts(task: CombinationTask, out: Path, report: Callable[[int, int], None]) -> int:
    there = _there(task, out)
    _require_room(_forecast(task, out, there))
    known, kept = task.known() if len(there) < task.combinations.parts else (), sum(there.values())
    done = kept
    for number in range(task.combinations.parts):
        if number not in there:
            _write_part(task, out, number, known, _moved(report, done, len(task)))
            done += task.combinations.rows(number)
    parts = [part_of(out, number) for number in range(task.combinations.parts)]
    task.whole.write(out, _joined(task, parts), lambda _rows: None)
    return kept


def _there(task: CombinationTask, out: Path) -> dict[int, int]:
    """Return the genotypes of the parts that are finished; raises where one is another task's, or damaged."""
    found = {}
    for number in range(task.combinations.parts):
        if part_of(out, number).is_file():
            found[number] = task.combinations.rows(number)
            most = found[number] if task.ranking is None else task.ranking.most
            task.parts.found(part_of(out, number), min(most, found[number]))
    return found


def _moved(report: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    done = before

    def more(genotypes: int) -> None:
        nonlocal done
        done += genotypes
        report(done, total)

    return more


def _write_part(
    task: CombinationTask, out: Path, number: int, known: Sequence[KnownParts], report: Callable[[int], None]
) -> None:
    """Write all rows of a part, or the first of its ranking."""
    tables = (task.table(task.ranked, block, known) for block in task.combinations.blocks(number))
    if task.ranking is None:
        task.parts.write(part_of(out, number), tables, report)
        return
    best = task.parts.schema.empty_table()
    for table in tables:
        best = task.ranking.kept(pa.concat_tables([best, table]))
        report(len(table))
    task.parts.write(part_of(out, number), iter([best] if len(best) else []), lambda _rows: None)


def _joined(task: CombinationTask, parts: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the parts, row group by row group; of a ranking the first of them all, with the terms asked for."""
    if task.ranking is None:
        yield from task.parts.read(parts)
        return
    best = task.parts.schema.empty_table()
    for table in task.parts.read(parts):
        best = task.ranking.kept(pa.concat_tables([best, table]))
    names = {name: gene for gene, name in enumerate(task.answers.first.hierarchy.gene_names)}
    genes = [[names[name] for name in best.column(place).to_pylist()] for place in range(task.order)]
    terms = task.answers.of_terms(np.array(genes, dtype=np.int64).T)
    yield pa.table({**dict(zip(best.column_names, best.columns, strict=True)), **terms}).cast(task.whole.schema)


@dataclass(frozen=True)
class Forecast:
    """What is to be done, and what that takes; seconds and bytes are measured on `measured` of the genotypes.

    bytes: of the file. needed_bytes: of the disk, for parts and file are there side by side at the end; parts that an
    earlier call left are not in it.
    """

    order: int
    genes: int
    genotypes: int
    kept: int
    rows: int
    columns: tuple[str, ...]
    bytes: int
    needed_bytes: int
    free_bytes: int
    seconds: float
    measured: int

    def as_json(self) -> dict[str, object]:
        """The document of `predict --dry-run --json`."""
        return _as_called(self)


def forecast(task: CombinationTask, out: Path) -> Forecast:
    """Return what predicting would take; nothing is written. Raises what it would of what is there already."""
    require_combined(len(task.genes), task.order)
    if out.exists():
        task.whole.require_same(out, task.rows)
        return _forecast(task, out, {part: task.combinations.rows(part) for part in range(task.combinations.parts)})
    return _forecast(task, out, _there(task, out))


def _forecast(task: CombinationTask, out: Path, there: dict[int, int]) -> Forecast:
    block, plain = task.combinations.typical(), replace(task.answers, terms=())
    task.table(plain, block[:2])  # compiles, or loads, what the time below is not to hold
    started = work_seconds()
    table = task.table(plain, block)
    each = (work_seconds() - started) / len(block)
    kept, left = sum(there.values()), task.combinations.parts - len(there)
    of_parts = len(task) - kept
    if task.ranking is not None:
        of_parts = min(of_parts, left * task.ranking.most)
    size, more = _size(table) / len(block), _floats(task) * NUMBER
    of_terms = _seconds_of_terms(task, block) * (of_parts if task.ranking is None else task.rows)
    whole, parts = task.rows * (size + more), of_parts * (size + (more if task.ranking is None else 0))
    return Forecast(
        order=task.order,
        genes=len(task.genes),
        genotypes=len(task),
        kept=kept,
        rows=task.rows,
        columns=tuple(task.whole.schema.names),
        bytes=round(whole),
        needed_bytes=round(whole + parts) if left or not out.exists() else 0,
        free_bytes=shutil.disk_usage(next(p for p in out.absolute().parents if p.is_dir())).free,
        seconds=round((len(task) - kept) * each + of_terms, 1) if left else 0.0,
        measured=len(block),
    )


def _size(table: pa.Table) -> int:
    """Return the bytes of a row group as it is written."""
    file = io.BytesIO()
    pq.write_table(table, file, compression=COMPRESSION)
    return len(file.getvalue())


def _floats(task: CombinationTask) -> int:
    """Return how many numbers of terms a row has."""
    columns = task.answers.of_terms(task.genes[None, : task.order]).values()
    return sum(len(one.flatten()) if pa.types.is_list(one.type) else len(one) for one in columns)


def _seconds_of_terms(task: CombinationTask, block: Int64[np.ndarray, "n order"]) -> float:
    """Return the time that the chosen terms of one genotype take."""
    if not task.answers.terms:
        return 0.0
    started, measured = work_seconds(), block[:MEASURED_TERMS]
    task.answers.of_terms(measured)
    return (work_seconds() - started) / len(measured)


def _require_room(found: Forecast) -> None:
    """Raise UsageError where the disk has no room for parts and file."""
    if found.needed_bytes > found.free_bytes:
        noun = NOUNS[found.order]
        raise UsageError(
            f"{found.genotypes:,} {noun} would take {found.needed_bytes / BILLION:,.1f} GB of disk,"
            f" {found.free_bytes / BILLION:,.1f} GB are free",
            why=f"parts and the file of {found.bytes / BILLION:,.1f} GB are there side by side at the end",
            hint="--top 100000; fewer --genes; or an --out on another disk",
        )
