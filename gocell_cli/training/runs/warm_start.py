"""Weights of another run to begin with, term by term: `gocell train --from RUN`.

A term is the same where its id is, a gene where its name is, whatever cache either run was trained on. Copied are the
numbers of a term that is in both networks with the same width; of its inputs those whose child is in both, with the
same width as well, and those whose gene is. Every other number stays the one that the new run's seed drew. What became
of each term stands in warm_start.tsv of the run, counts of it in run.json.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float, Int64

from gocell_cli.errors import SourceMissing, UsageError
from gocell_cli.run_record import RunRecord, WarmStartRecord
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.splits.genotypes import genotype_codes
from gocell_cli.training.data.splits.kinds import KEPT, PARTS
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.term_weights import TermWeights
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.kept import kept_hierarchy
from gocell_cli.training.runs.samples import RunSamples
from gocell_cli.training.runs.source_run import require_source
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.weights import VECTORS, Layout, load_weights

with train_extra():
    import torch
    from torch import Tensor

LINEAR, PRODUCT_IN, HEARS, LEARNT = "linear.weight", "product_in", "vector_weight", "vectors.learnt"
BY_INPUT = (LINEAR, PRODUCT_IN)
STATISTICS = ("norm.running_mean", "norm.running_var")
"""Copied, but no trained numbers: not counted among them."""
HEADS = ("head.weight", "head.bias")
"""A row a phenotype."""
PARTS_OF_TERM = (
    *(LINEAR, "linear.bias", "norm.weight", "norm.bias", *STATISTICS, "head.weight", "head.bias"),
    *("gene_direction", PRODUCT_IN, "product_out", HEARS),
)
COPIED, PARTLY, WIDTH, NEW, ABSENT = "copied", "partly", "other width", "new", "not here"
COLUMNS = ("term", "fate", "width", "width_there", "numbers", "copied")

Row: TypeAlias = tuple[str, str, int | None, int | None, int, int]
"""COLUMNS of a term."""
Columns: TypeAlias = dict[tuple[str, str], slice]
"""Which columns of a term's linear.weight are those of ("term", id) and ("gene", name)."""


@dataclass(frozen=True)
class Weights:
    """A network taken apart by terms; vectors: the columns of the gene vectors that it is given, by name.

    phenotypes: of which every term has a head each.
    """

    hierarchy: Hierarchy
    state: Mapping[str, Tensor]
    inputs: list[Columns]
    learnt: Float[Tensor, "genes numbers"] | None
    vectors: tuple[str, ...] = ()
    phenotypes: tuple[str, ...] = ("",)

    @classmethod
    def of(
        cls,
        model: DCell,
        hierarchy: Hierarchy,
        vectors: tuple[str, ...] = (),
        phenotypes: tuple[str, ...] = ("",),
    ) -> "Weights":
        """Take a network apart, on the CPU."""
        state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
        apart = TermWeights(model, hierarchy).split(state)
        return cls(hierarchy, apart, inputs_of(hierarchy, model.stack.width), state.get(LEARNT), vectors, phenotypes)


@dataclass(frozen=True)
class Copied:
    """What the new network begins with, by term, and its genes' learnt vectors; what is said of it; a row a term."""

    state: dict[str, Tensor]
    learnt: Float[Tensor, "genes numbers"] | None
    record: WarmStartRecord
    rows: list[Row]

    def table(self) -> str:
        """Return `rows` as TSV."""
        lines = [COLUMNS, *(["" if value is None else str(value) for value in row] for row in self.rows)]
        return "".join("\t".join(line) + "\n" for line in lines)


def inputs_of(hierarchy: Hierarchy, width: Int64[np.ndarray, " terms"]) -> list[Columns]:
    """Return where the inputs of each term stand in its linear.weight, as `term_weights.py` orders them."""
    found: list[Columns] = [{} for _ in hierarchy.term_ids]
    place = np.zeros(len(width), dtype=np.int64)
    for edge in np.lexsort((hierarchy.edge_child, hierarchy.edge_parent)).tolist():
        child, parent = int(hierarchy.edge_child[edge]), int(hierarchy.edge_parent[edge])
        stop = int(place[parent] + width[child])
        found[parent]["term", hierarchy.term_ids[child]] = slice(int(place[parent]), stop)
        place[parent] = stop
    for row in np.argsort(hierarchy.row_term, kind="stable").tolist():
        term = int(hierarchy.row_term[row])
        found[term]["gene", hierarchy.gene_names[hierarchy.row_gene[row]]] = slice(
            int(place[term]), int(place[term]) + 1
        )
        place[term] += 1
    return found


def warm_start(model: DCell, hierarchy: Hierarchy, config: RunConfig, samples: RunSamples) -> Copied:
    """Put the best weights of the run that `config.warm_start` names into a network.

    Raises what `require_source` does, and UsageError where no term can be copied.
    """
    run = Path(config.warm_start)
    record, there = require_source(run, config), run_config(run)
    ours = samples.vectors.names if samples.vectors is not None else ()
    kinds = tuple(one.kind for one in samples.each)
    copied = copy_weights(Weights.of(model, hierarchy, tuple(ours), kinds), _source(run, record))
    if not copied.record.terms_copied:
        raise UsageError(
            f"{run}: none of its {copied.record.terms_there:,} terms is here with the width it has there",
            why=f"{copied.record.other_width:,} are here with another width",
            hint=f"--set min_width={there.min_width} --set ratio={there.ratio:g}; or leave out --from",
        )
    model.load_state_dict(TermWeights(model, hierarchy).join(copied.state))
    if copied.learnt is not None:
        model.load_state_dict({LEARNT: copied.learnt}, strict=False)
    label = record.label
    told = replace(
        copied.record, run=str(run), phenotype=", ".join(record.kinds), label_mean=label.mean, label_sd=label.sd
    )
    return replace(copied, record=told)


def _source(run: Path, record: RunRecord) -> Weights:
    """Open a run's best weights, on the CPU, in the layout that they were saved in."""
    if record.hierarchy is None or record.layout is None:
        raise SourceMissing(f"{run}: this run keeps no copy of its hierarchy", hint="train it again")
    store, hierarchy = RunStore(run), kept_hierarchy(run, record.hierarchy)
    tensors, state = store.load("best")
    known, layout = tensors.get(VECTORS), Layout(record.layout.level_by, record.layout.width_by)
    with torch.random.fork_rng(devices=[]):  # its first weights, which nobody sees, are not to be the new run's
        given = known.double().numpy() if known is not None else None
        model = layout.network(hierarchy, run_config(run), vectors=given, phenotypes=len(record.kinds))
    if any(tensor.dtype == torch.float64 for tensor in tensors.values() if tensor.is_floating_point()):
        model = model.double()
    with store.naming("best"):
        load_weights(model, tensors, state)
    columns = record.gene_vectors.columns if record.gene_vectors is not None and known is not None else ()
    return Weights.of(model, hierarchy, tuple(columns), record.kinds)


def copy_weights(new: Weights, old: Weights) -> Copied:
    """Return the new network's tensors with the old one's numbers wherever both have the same term, child or gene."""
    there = {name: number for number, name in enumerate(old.hierarchy.term_ids)}
    state, rows = {name: tensor.clone() for name, tensor in new.state.items()}, list[Row]()
    inputs: Counter[str] = Counter()
    for term, name in enumerate(new.hierarchy.term_ids):
        width, numbers = len(state[f"{name}.linear.bias"]), _count(state, name)
        other = len(old.state[f"{name}.linear.bias"]) if name in there else None
        if other != width:
            rows.append((name, NEW if other is None else WIDTH, width, other, numbers, 0))
            continue
        shared = _shared(new.inputs[term], old.inputs[there[name]])
        inputs.update(kind for kind, _ in shared)
        copied = {part: _copy(part, state[f"{name}.{part}"], old.state[f"{name}.{part}"], shared, new, old)
                  for part in PARTS_OF_TERM if f"{name}.{part}" in state}  # fmt: skip
        count = sum(number for part, number in copied.items() if part not in STATISTICS)
        rows.append((name, COPIED if count == numbers else PARTLY, width, other, numbers, count))
    here = set(new.hierarchy.term_ids)
    gone = [name for name in there if name not in here]
    rows += [(name, ABSENT, None, len(old.state[f"{name}.linear.bias"]), 0, 0) for name in gone]
    learnt, counted = _learnt(new, old)
    return Copied(state, learnt, _record(new, old, rows, inputs, counted), rows)


def _count(state: Mapping[str, Tensor], name: str) -> int:
    """Return how many trained numbers a term has."""
    parts = (part for part in PARTS_OF_TERM if part not in STATISTICS)
    return sum(state[key].numel() for part in parts if (key := f"{name}.{part}") in state)


def _shared(new: Columns, old: Columns) -> dict[tuple[str, str], tuple[slice, slice]]:
    """Return the inputs that a term has in both networks, of the same width in both: their columns there and there."""
    return {
        name: (ours, theirs)
        for name, ours in new.items()
        if (theirs := old.get(name)) is not None and ours.stop - ours.start == theirs.stop - theirs.start
    }


def _copy(
    part: str,
    own: Tensor,
    theirs: Tensor,
    shared: Mapping[tuple[str, str], tuple[slice, slice]],
    new: Weights,
    old: Weights,
) -> int:
    """Copy one tensor of a term, in place, as far as it means the same; return how many numbers."""
    if part in BY_INPUT:
        count = 0
        for (kind, _), (to, come) in shared.items():
            if part == LINEAR or kind == "term":  # products are of children alone
                own[:, to] = theirs[:, come].to(own)
                count += own[:, to].numel()
        return count
    if part == HEARS:  # [width, numbers of a gene that are given, then those that are learnt]
        learnt = 0 if new.learnt is None or old.learnt is None else new.learnt.shape[1]
        given = own.shape[1] - learnt if new.vectors == old.vectors else 0
        own[:, :given] = theirs[:, :given].to(own)
        if learnt:
            own[:, -learnt:] = theirs[:, -learnt:].to(own)
        return own.shape[0] * (given + learnt)
    if part in HEADS and len(new.phenotypes) + len(old.phenotypes) > 2:  # of several a head goes by its phenotype
        both = [kind for kind in new.phenotypes if kind in old.phenotypes]
        for kind in both:
            own[new.phenotypes.index(kind)] = theirs[old.phenotypes.index(kind)].to(own)
        return own[: len(both)].numel()
    own.copy_(theirs)
    return own.numel()


def _learnt(new: Weights, old: Weights) -> tuple[Tensor | None, int]:
    """Return the genes' learnt vectors, those of genes of both networks copied, and how many numbers these are."""
    if new.learnt is None or old.learnt is None:
        return new.learnt, 0
    found, there = new.learnt.clone(), {name: number for number, name in enumerate(old.hierarchy.gene_names)}
    names = [(number, there[name]) for number, name in enumerate(new.hierarchy.gene_names) if name in there]
    for number, other in names:
        found[number] = old.learnt[other].to(found)
    return found, len(names) * found.shape[1]


def _record(new: Weights, old: Weights, rows: list[Row], inputs: Mapping[str, int], learnt: int) -> WarmStartRecord:
    fates = [row[1] for row in rows]
    genes, others = set(new.hierarchy.gene_names), set(old.hierarchy.gene_names)
    return WarmStartRecord(
        run="",
        terms=len(new.hierarchy.term_ids),
        terms_there=len(old.hierarchy.term_ids),
        terms_copied=fates.count(COPIED) + fates.count(PARTLY),
        terms_partly=fates.count(PARTLY),
        other_width=fates.count(WIDTH),
        new_terms=fates.count(NEW),
        terms_not_here=fates.count(ABSENT),
        links=len(new.hierarchy.edge_child),
        links_copied=inputs.get("term", 0),
        pairs=len(new.hierarchy.row_term),
        pairs_copied=inputs.get("gene", 0),
        genes=len(genes),
        new_genes=len(genes - others),
        genes_not_here=len(others - genes),
        numbers=sum(row[4] for row in rows) + (new.learnt.numel() if new.learnt is not None else 0),
        numbers_copied=sum(row[5] for row in rows) + learnt,
    )


def met_before(run: Path, cache: Cache, samples: RunSamples) -> int | None:
    """Return how many test samples are of a genotype by which `run` was trained or chosen; None where it kept no split.

    Genotypes are compared by their genes' names, whatever caches both are of.
    """
    path = run / KEPT
    if not path.is_file():
        return None
    own, (ptr, genes) = cache.columns(), _trained_genotypes(path, cache.hierarchy.gene_names)
    codes = genotype_codes(
        np.concatenate([own.gene_ptr, own.gene_ptr[-1] + ptr[1:]]),
        np.concatenate([own.genes.astype(np.int64), genes]),
    )
    return int(np.isin(codes[samples.split.test], codes[len(own) :]).sum())


def _trained_genotypes(
    path: Path, names: Sequence[str]
) -> tuple[Int64[np.ndarray, " genotypes_plus_1"], Int64[np.ndarray, " deletions"]]:
    """Return the genotypes that a split's file has in training and validation, as CSR of the genes of `names`.

    Those with another gene are left out: no sample of that cache is of one.
    """
    table, number = pq.read_table(path), {name: index for index, name in enumerate(names)}
    used = pc.is_in(table.column("part").cast(pa.string()), pa.array(PARTS[:2])).to_numpy()
    none = len(number)  # no gene at this place; -1: one that is not here
    places = [_numbers(table.column(name), number, none) for name in table.column_names if name.startswith("gene_")]
    rows = np.stack(places, axis=1)[used]
    rows = np.sort(rows[(rows >= 0).all(axis=1)], axis=1)
    counts = (rows < none).sum(axis=1)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)]), rows[rows < none]


def _numbers(column: pa.ChunkedArray, number: Mapping[str, int], none: int) -> Int64[np.ndarray, " rows"]:
    """Return the number of each name of a column, -1 where there is none such, `none` where it is null."""
    whole = column.combine_chunks()
    coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    known = np.array([*(number.get(name, -1) for name in coded.dictionary.to_pylist()), none], dtype=np.int64)
    found: np.ndarray = known[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return found
