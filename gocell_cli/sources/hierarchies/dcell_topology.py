"""DCell's topology files (Ma et al. 2018, `training/Topology` of its repository): three lines a term.

ROOT: GO:0006281 162            the term, and how many genes it and all terms below it hold
GENES: YKL067W YEL018W          genes annotated directly
TERMS: GO:0006298 GO:0006284    child terms, each with three lines of its own
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.hierarchies.by_name import WORD, ByName, require_names
from gocell_cli.sources.hierarchies.ready import ParsedHierarchy

FORMAT = "DCell topology"
COUNT = re.compile(r"[0-9]{1,18}")
# Two names for one object: the tags singly, and all of them in the order a block has them.
ROOT, GENES, TERMS = TAGS = ("ROOT:", "GENES:", "TERMS:")


@dataclass
class _Block:
    """The three lines of one term; `size` is -1 where the file tells none."""

    term: str
    line: int
    size: int
    seen: dict[str, int] = field(default_factory=dict)


def parse_topology(path: Path, lines: Iterable[tuple[int, str]]) -> ParsedHierarchy:
    """Parse the lines that are not empty, each with its number.

    A gene count that is not the file's own is counted (`sizes_that_differ`), nothing else: no network needs
    it. Raises InvalidInput with the line for a tag that is unknown, missing or given twice, a term without
    or with two blocks, and a count that is no number.
    """
    parsed = ParsedHierarchy(path, FORMAT)
    blocks: dict[str, _Block] = {}
    block: _Block | None = None
    for number, line in lines:
        tag, *values = line.split()
        if tag == ROOT:
            _close(path, block)
            block = _open(path, number, values, blocks)
            parsed.terms.setdefault(block.term, number)
        elif tag not in TAGS or block is None:
            raise InvalidInput.at(path, number, f"not one of {', '.join(TAGS)}, in this order: {line[:60]!r}")
        elif tag in block.seen:
            raise InvalidInput.at(path, number, f"a second {tag} line of {block.term}")
        else:
            block.seen[tag] = number
            _add(parsed, block.term, tag, values, number)
    _close(path, block)
    _check_children(parsed, blocks)
    parsed.counts["sizes_that_differ"] = _sizes_that_differ(parsed, blocks)
    return parsed


def _open(path: Path, number: int, values: list[str], blocks: dict[str, _Block]) -> _Block:
    if not 1 <= len(values) <= 2 or (len(values) == 2 and not COUNT.fullmatch(values[1])):
        raise InvalidInput.at(path, number, f"{ROOT} needs a term and its number of genes")
    term = values[0]
    if term in blocks:
        raise InvalidInput.at(path, number, f"{term} stands here again; first in line {blocks[term].line}")
    blocks[term] = _Block(term, number, int(values[1]) if len(values) == 2 else -1)
    return blocks[term]


def _close(path: Path, block: _Block | None) -> None:
    missing = [tag for tag in (GENES, TERMS) if block is not None and tag not in block.seen]
    if block is not None and missing:
        raise InvalidInput.at(path, block.line, f"{block.term} has no {missing[0]} line", hint="is the file complete?")


def _add(parsed: ParsedHierarchy, term: str, tag: str, values: list[str], number: int) -> None:
    for value in values:
        if tag == GENES:
            parsed.add_gene(term, value, number)
        else:
            # The file names children under their parent; edges here go from child to parent.
            parsed.add_edge(value, term, number)


def _check_children(parsed: ParsedHierarchy, blocks: dict[str, _Block]) -> None:
    for (child, parent), line in parsed.edges.items():
        if child not in blocks:
            reason = f"{parent} has a child {child} that no {ROOT} line describes"
            raise InvalidInput.at(parsed.path, line, reason, hint="is the file complete?")


def _sizes_that_differ(parsed: ParsedHierarchy, blocks: dict[str, _Block]) -> int:
    """Terms whose count is not that of their own and their descendants' genes; 0 where a cycle forbids counting."""
    direct: dict[str, set[str]] = {term: set() for term in blocks}
    for term, gene in parsed.genes:
        direct[term].add(gene)
    children: dict[str, list[str]] = {term: [] for term in blocks}
    for child, parent in parsed.edges:
        children[parent].append(child)
    contained: dict[str, set[str]] = {}
    waiting = list(blocks)
    while waiting:
        # From the leaves up, a level a round: a term's count is known once all its children's are.
        ready = [t for t in waiting if all(c in contained for c in children[t])]
        # A cycle: no term of those left has all its children counted. `make_ready` names it, with its line.
        if not ready:
            return 0
        contained.update((t, direct[t].union(*(contained[c] for c in children[t]))) for t in ready)
        waiting = [t for t in waiting if t not in contained]
    return sum(block.size not in (-1, len(contained[term])) for term, block in blocks.items())


def topology_lines(named: ByName) -> Iterator[str]:
    """Yield three lines a term, each name with a blank behind it, as the files of DCell's repository have them.

    Raises InvalidInput for a name with a blank in it, at which DCell's reader splits (training/code/Utility.lua).
    """
    hint = "choose another --gene-id, or --hierarchy cx2"
    require_names((*named.ids, *named.used), WORD, "the name", "DCell topology", hint)
    for term, contained, direct, children in zip(named.ids, named.contained, named.direct, named.children, strict=True):
        yield f"{ROOT} {term} {len(contained)}"
        yield f"{GENES} {''.join(f'{gene} ' for gene in direct)}"
        yield f"{TERMS} {''.join(f'{child} ' for child in children)}"
