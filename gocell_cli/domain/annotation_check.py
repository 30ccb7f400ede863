"""What a user should know of how annotations joined an ontology: terms it does not have, rows newer than the data."""

from collections import Counter

from gocell_cli.domain.annotations import Annotations, LateRows
from gocell_cli.domain.ontology import OBSOLETE, Ontology
from gocell_cli.errors import InvalidInput

# GOA's yeast of October 2016 loses 1 of 67,138 rows with GO of that December, and 1,139 (1.7 %) with GO of five years
# later; a slim loses three quarters.
MANY_LOST = 0.05
NEARLY_ALL_LOST = 0.95
"""Shares of rows without a live term above which a user is warned, and above which the files cannot belong together."""
MAX_NAMED = 5
CODES_NAMED = 4


def require_joined(ontology: Ontology, annotations: Annotations, source: str) -> None:
    """Raise InvalidInput where nearly all annotation rows are of terms that the ontology does not have."""
    if _lost_share(annotations) > NEARLY_ALL_LOST:
        raise InvalidInput(
            _lost_text(ontology, annotations, source),
            why="they are annotations to another ontology, or to all of one of which this is a small part",
            hint="choose the ontology that the annotations were made with (--obo, --gaf, --release)",
        )


def term_warnings(ontology: Ontology, annotations: Annotations, source: str) -> tuple[str, ...]:
    """Return a warning where many rows are of terms that the ontology does not have, with the reasons told apart."""
    if _lost_share(annotations) <= MANY_LOST:
        return ()
    advice = (
        "the ontology is of another release, or a part (a slim): choose the one that the annotations were made with"
    )
    return (f"{_lost_text(ontology, annotations, source)}; {advice}",)


def _lost_share(annotations: Annotations) -> float:
    lost = sum(n for _, _, n in annotations.lost_terms)
    return lost / max(1, lost + annotations.rows_with_term)


def _lost_text(ontology: Ontology, annotations: Annotations, source: str) -> str:
    rows: Counter[str] = Counter()
    terms: Counter[str] = Counter()
    for _, why, n in annotations.lost_terms:
        rows[why] += n
        terms[why] += 1
    lost = sum(rows.values())
    words = {why: "obsolete" if why == OBSOLETE else "absent" for why in rows}
    reasons = ", ".join(f"{rows[w]:,} of {terms[w]:,} {words[w]} terms" for w in sorted(rows))
    worst = ", ".join(f"{term} ({n:,}, {words[why]})" for term, why, n in annotations.lost_terms[:MAX_NAMED])
    return (
        f"{source}: {lost:,} of {lost + annotations.rows_with_term:,} rows are of no live term of {ontology.source}:"
        f" {reasons}; most rows: {worst}; {annotations.renamed['merged']:,} rows of merged terms and"
        f" {annotations.renamed['replaced']:,} of replaced ones were found"
    )


def annotation_notes(annotations: Annotations) -> tuple[str, ...]:
    """Return what became of genes that no row in use names, and which dates say nothing."""
    told = []
    if annotations.nd_only_genes:
        told.append(
            f"{annotations.nd_only_genes:,} genes have ND (no biological data) and no annotation in use: they are used"
            " as genes without annotation"
        )
    if annotations.late.exported:
        told.append(
            f"{_exported(annotations.late)} are newer than the data by the date of their export alone, which does not"
            " say when they were learned: they are used, and --until would take them out for nothing"
        )
    return tuple(told)


def date_warnings(annotations: Annotations, dataset: str, published: int | None) -> tuple[str, ...]:
    """Return a warning where rows in use were learned after the data set was published, by evidence code."""
    learned = annotations.late.learned
    if not learned:
        return ()
    codes = ", ".join(f"{code or 'no code'} {n:,}" for code, n in list(learned.items())[:CODES_NAMED])
    more = ", ..." if len(learned) > CODES_NAMED else ""
    cost = f", and with them {_exported(annotations.late)}" if annotations.late.exported else ""
    older = "; annotations exported before that day (--release, --gaf) keep those" if cost else ""
    return (
        f"{sum(learned.values()):,} of {annotations.rows_read:,} annotation rows ({codes}{more}; newest"
        f" {annotations.newest_date}) are newer than {dataset} ({published}) and may have learned from it; --until"
        f" {published} leaves them out{cost}{older}",
    )


def _exported(late: LateRows) -> str:
    return " and ".join(f"{n:,} {code} rows of {day}" for (code, day), n in late.exported.items())
