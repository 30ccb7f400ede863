"""What the filters' steps removed, and which kept terms stand for it: the funnel, term by term."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gocell_cli.domain.term_graph import TermGraph


@dataclass(frozen=True)
class Removal:
    """The step that removed a term, named as in the funnel, and the kept terms that hold its genes now.

    `into` is empty where its genes, if it had any, went with it.
    """

    step: str
    into: tuple[int, ...]


@dataclass(frozen=True)
class FilteredTerms:
    """The graph in use, how many terms each step left (raw ontology first), and what became of the others."""

    graph: TermGraph
    funnel: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[int, Removal] = field(default_factory=dict)


class FilterSteps:
    """Takes the graph after each step and remembers what the step removed."""

    def __init__(self, name: str, graph: TermGraph) -> None:
        self.graph = graph
        self._funnel = {name: len(graph)}
        self._gone: dict[int, tuple[str, tuple[int, ...]]] = {}

    def take(self, step: str, graph: TermGraph, heirs: Mapping[int, Iterable[int]] | None = None) -> None:
        """Go on with the graph that a step left; `heirs` are the terms to which a removed one's genes belong."""
        for term in self.graph.parents.keys() - graph.parents.keys():
            self._gone[term] = (step, tuple((heirs or {}).get(term, ())))
        self.graph = graph
        self._funnel[step] = len(graph)

    def done(self) -> FilteredTerms:
        """Return the last graph; heirs that went themselves are replaced by their own."""
        removed = {term: Removal(step, tuple(sorted(self._kept(heirs)))) for term, (step, heirs) in self._gone.items()}
        return FilteredTerms(self.graph, self._funnel, removed)

    def _kept(self, terms: Iterable[int]) -> set[int]:
        found, waiting, seen = set(), list(terms), set(terms)
        while waiting:
            term = waiting.pop()
            if term not in self._gone:
                found.add(term)
                continue
            heirs = set(self._gone[term][1]) - seen
            seen |= heirs
            waiting += heirs
        return found
