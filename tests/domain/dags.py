"""Random ontologies and annotations for property tests."""

from hypothesis import strategies as st

from gocell_cli.domain.annotations import Annotations
from gocell_cli.domain.ontology import Ontology, make_ontology

GENES = 6
Pairs = list[tuple[int, int]]


@st.composite
def dags(draw: st.DrawFn, max_terms: int = 9) -> tuple[int, Pairs]:
    """Number of terms and distinct edges (child, parent), in a shuffled order of the terms."""
    terms = draw(st.integers(1, max_terms))
    name = draw(st.permutations(range(terms)))
    possible = [(name[c], name[p]) for c in range(terms) for p in range(c)]
    edges = draw(st.lists(st.sampled_from(possible), unique=True, max_size=16)) if possible else []
    return terms, sorted(edges)


@st.composite
def annotated_dags(draw: st.DrawFn) -> tuple[int, Pairs, dict[int, set[int]]]:
    """A DAG and the direct genes of each term."""
    terms, edges = draw(dags())
    genes = st.sets(st.integers(0, GENES - 1), max_size=3)
    return terms, edges, {t: draw(genes) for t in range(terms)}


def as_ontology(terms: int, edges: Pairs, relation: str = "is_a") -> Ontology:
    """The DAG as an ontology whose term i has id GO:000000i."""
    return make_ontology(
        source="random",
        release="none",
        terms=[(f"GO:{t:07d}", f"term {t}", "random") for t in range(terms)],
        alt_ids={},
        edges=[(f"GO:{c:07d}", f"GO:{p:07d}", relation) for c, p in edges],
        dropped={},
    )


def as_annotations(direct: dict[int, set[int]]) -> Annotations:
    """Direct genes as annotations that no rule has touched."""
    pairs = frozenset((t, g) for t, genes in direct.items() for g in genes)
    return Annotations(pairs, pairs, len(pairs), {}, 0)
