"""A batch's plan against sets written out: which variants there are, what they stand for, read and have lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.form import DeltaForm
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan, make_plan
from tests.attempts import attempts
from tests.training import networks as nets

GENES = 12
genotypes = st.lists(st.sets(st.integers(0, GENES - 1), max_size=GENES).map(sorted).map(tuple), min_size=1, max_size=24)


def contained(index: DeltaIndex) -> list[set[int]]:
    """The genes that each term contains."""
    found: list[set[int]] = [set() for _ in range(index.terms)]
    for gene in range(len(index.closure_ptr) - 1):
        for term in index.closure[index.closure_ptr[gene] : index.closure_ptr[gene + 1]].tolist():
            found[term].add(gene)
    return found


def named(plan: DeltaPlan, batch: nets.Genotypes, contains: list[set[int]]) -> list[frozenset[int]]:
    """Each variant's genes, by the samples that show it; every touch stands for what the sample deletes there."""
    found: list[frozenset[int] | None] = [None] * len(plan.weight)
    for first in plan.variant_ptr[:-1].tolist():
        found[first] = frozenset()
    for term, sample, variant in zip(*(x.tolist() for x in plan.touches), strict=True):
        genes = frozenset(batch[sample]) & contains[term]
        assert genes
        assert plan.variant_ptr[term] < variant < plan.variant_ptr[term + 1]
        assert found[variant] in (None, genes)
        found[variant] = genes
    assert None not in found
    return [genes for genes in found if genes is not None]


@settings(max_examples=attempts(30, 600))
@given(genotypes, st.integers(0, 50))
def test_a_plan_is_the_sets_of_deleted_genes(batch: nets.Genotypes, seed: int) -> None:
    form = DeltaForm.of(DCell(nets.random_network(seed), DCellConfig(min_width=4, form="delta")))
    index, plan = form.index, form.plan(nets.deletions(batch, GENES))
    contains = contained(index)
    names = named(plan, batch, contains)
    for term in range(index.terms):
        own = slice(plan.variant_ptr[term], plan.variant_ptr[term + 1])
        shown = [frozenset(genotype) & contains[term] for genotype in batch]
        assert sorted(map(sorted, names[own])) == sorted(map(sorted, {*shown, frozenset()}))
        assert plan.weight[own].tolist() == [shown.count(genes) for genes in names[own]]
    check_reads(index, plan, names, contains)
    check_lost(form, plan, names)


def check_reads(index: DeltaIndex, plan: DeltaPlan, names: list[frozenset[int]], contains: list[set[int]]) -> None:
    """A variant reads of each child the variant of the genes that the child contains, if there are any."""
    wanted = set()
    for edge, (child, parent) in enumerate(zip(index.child.tolist(), index.parent.tolist(), strict=True)):
        first = int(plan.variant_ptr[child])
        of_child = {names[v]: v - first for v in range(first, plan.variant_ptr[child + 1])}
        for reader in range(plan.variant_ptr[parent], plan.variant_ptr[parent + 1]):
            genes = names[reader] & contains[child]
            if genes or not names[reader]:
                wanted.add((reader, edge, of_child[frozenset(genes)]))
    reads = plan.reads
    reader = np.repeat(np.arange(len(plan.weight)), np.diff(reads.ptr))
    found = list(zip(reader.tolist(), reads.edge.tolist(), reads.variant.tolist(), strict=True))
    assert found == sorted(wanted)
    for slot in range(len(plan.slot_ptr) - 1):
        here = plan.slot_reader[plan.slot_ptr[slot] : plan.slot_ptr[slot + 1]]
        assert len(here)
        assert (np.diff(here) > 0).all()


def check_lost(form: DeltaForm, plan: DeltaPlan, names: list[frozenset[int]]) -> None:
    """A variant has lost the pairs of its own term and of its genes."""
    index = form.index
    pair_gene = np.empty(len(index.pair_piece), np.int64)
    gene_of = np.repeat(np.arange(len(index.closure_ptr) - 1), np.diff(index.closure_ptr))
    direct = index.closure_pair >= 0
    pair_gene[index.closure_pair[direct]] = gene_of[direct]
    pair_term = np.empty_like(pair_gene)
    pair_term[index.closure_pair[direct]] = index.closure[direct]
    for variant, genes in enumerate(names):
        own = plan.lost[plan.lost_ptr[variant] : plan.lost_ptr[variant + 1]]
        wanted = {p for p in range(len(pair_gene)) if pair_term[p] == plan.term[variant] and pair_gene[p] in genes}
        assert set(own.tolist()) == wanted
        assert len(own) == len(wanted)


def test_more_reads_than_an_index_holds_are_one_error() -> None:
    index = DeltaForm.of(DCell(nets.random_network(0), DCellConfig(min_width=4, form="delta"))).index
    # as of a hierarchy with so many edges above a gene's terms, which no memory here would hold
    vars(index)["gene_reads"] = np.full(GENES, 2**31)
    with pytest.raises(UsageError, match="too many for one batch"):
        make_plan(index, np.array([0]), np.array([0]), 1)
