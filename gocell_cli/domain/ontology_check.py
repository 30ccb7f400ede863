"""What is wrong with an ontology of which every line can be read: edges that lead nowhere, none at all, too many roots.

A file cut at the end of a stanza still parses, and its levels hold: what is left of any acyclic graph is acyclic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gocell_cli.domain.ontology import Ontology
from gocell_cli.errors import InvalidInput

# Ten releases (GO of 2016, 2019 and 2021, HPO, DO, CL, PATO) have no edge that leads nowhere, by any relation. GO cut
# at 99.5 % of its terms has 2 in 1,000, cut at half 21 in 100; one stanza taken out by hand leaves a few.
MANY_DANGLING = 0.001
FEW_EDGES = 10
"""So many dangling edges, or fewer, are one stanza's, and no error in a large ontology..."""
MOST_DANGLING = 0.1
FEW_OF_SMALL = 2
"""... and in a small one two are a slip, more than a tenth of the edges none."""
MAX_NAMED = 5


@dataclass(frozen=True)
class OntologyFindings:
    """What stands out in an ontology over some relations.

    `edges` and `dangling` count, by relation, the edges between live terms and those that lead to no live term
    although the ontology has terms of such ids (`GO:`); `foreign` those to terms of other ontologies, which a file may
    leave out. `roots` are the ids of the terms without a parent, `unexpected` those that are not to be expected.
    """

    edges: Mapping[str, int]
    dangling: Mapping[str, int]
    foreign: Mapping[str, int]
    roots: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def too_many_dangling(self) -> bool:
        """Whether so many edges are lost that the file cannot be a whole ontology."""
        lost = sum(self.dangling.values())
        share = lost / max(1, lost + sum(self.edges.values()))
        return (lost > FEW_OF_SMALL and share > MOST_DANGLING) or (lost > FEW_EDGES and share > MANY_DANGLING)


def check_ontology(ontology: Ontology, relations: Sequence[str]) -> OntologyFindings:
    """Return what stands out; raises UsageError for a relation that the ontology does not have."""
    edges = ontology.select(relations)
    own = {term.partition(":")[0] for term in (*ontology.ids, *ontology.obsolete)}
    lost = {r: ontology.lost_edges.get(r, ()) for r in dict.fromkeys(relations)}
    ours = {r: sum(parent.partition(":")[0] in own for _, parent in pairs) for r, pairs in lost.items()}
    below = np.zeros(len(ontology), dtype=bool)
    below[edges.child] = True
    roots = np.flatnonzero(~below).tolist()
    return OntologyFindings(
        edges={r: len(ontology.edges[r]) for r in lost},
        dangling=ours,
        foreign={r: len(pairs) - ours[r] for r, pairs in lost.items()},
        roots=tuple(ontology.ids[t] for t in roots),
        unexpected=tuple(ontology.ids[t] for t in _unexpected(ontology, roots)),
    )


def _unexpected(ontology: Ontology, roots: list[int]) -> list[int]:
    # GO's three roots are called as their namespaces are, and CL's is: who has such roots is to have no others
    named = {t for t in roots if ontology.names[t] == ontology.namespaces[t]}
    if named:
        return [t for t in roots if t not in named]
    # of other ontologies only so much is known: no more trees than namespaces
    return roots if len(roots) > len(set(ontology.namespaces)) else []


def require_whole(ontology: Ontology, relations: Sequence[str]) -> OntologyFindings:
    """Return what `check_ontology` finds; raises InvalidInput where no edge is left, or too many lead nowhere."""
    found = check_ontology(ontology, relations)
    chosen = " or ".join(found.edges)
    if found.too_many_dangling:
        lost, total = sum(found.dangling.values()), sum(found.edges.values())
        raise InvalidInput(
            f"{ontology.source}: {lost:,} of {total + lost:,} {chosen} edges lead to terms that it does not have",
            why=f"such as {_examples(ontology, found)}; a release has none: this is a part of one, or was cut",
            hint="download the ontology again, or read the file that this one was made of",
        )
    if not any(found.edges.values()):
        others = {r: len(edges) for r, edges in ontology.edges.items() if len(edges)}
        raise InvalidInput(
            f"{ontology.source}: none of its {len(ontology):,} terms has a parent by {chosen}",
            why=f"its relations are {', '.join(f'{r} ({n:,} edges)' for r, n in others.items()) or 'none at all'}",
            hint=f"--relations {max(others, key=lambda r: others[r])}" if others else "an ontology with is_a lines",
        )
    return found


def ontology_warnings(ontology: Ontology, found: OntologyFindings) -> tuple[str, ...]:
    """Return what a user should know of an ontology that can be used, one sentence each."""
    told = []
    lost, foreign = sum(found.dangling.values()), sum(found.foreign.values())
    if lost:
        told.append(
            f"{ontology.source}: {lost:,} edges lead to terms that it does not have, such as"
            f" {_examples(ontology, found)}; releases have none"
        )
    if foreign:
        told.append(f"{ontology.source}: {foreign:,} edges lead to terms of other ontologies and are left out")
    if found.unexpected:
        count, by = len(found.unexpected), " or ".join(found.edges)
        name = {term: ontology.names[ontology.index[term]] for term in found.roots}
        beside = [name[t] for t in sorted(set(found.roots).difference(found.unexpected))]
        more = ", ..." if count > MAX_NAMED else ""
        told.append(
            f"{ontology.source}: {count:,} {'terms have' if count > 1 else 'term has'} no parent by {by}"
            f"{' beside ' + ', '.join(beside) if beside else ''}: "
            + ", ".join(f"{t} ({name[t]})" for t in found.unexpected[:MAX_NAMED])
            + f"{more}; they stand on the level below the root"
        )
    return tuple(told)


def _examples(ontology: Ontology, found: OntologyFindings) -> str:
    own = {term.partition(":")[0] for term in (*ontology.ids, *ontology.obsolete)}
    pairs = (p for r in found.dangling for p in ontology.lost_edges.get(r, ()) if p[1].partition(":")[0] in own)
    return ", ".join(f"{child} -> {parent}" for child, parent in list(pairs)[:2])
