"""Real annotations on real ontologies: what each joins to, counted beside by loops over the files."""

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest

from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.domain.annotation_check import term_warnings
from gocell_cli.domain.term_filters import PRESETS
from gocell_cli.sources.go.releases import load_release
from tests.benchmarks.real_data import real_data

LATER = real_data() / "go" / "go-basic-2021-12-15.obo.gz"
GAF = real_data() / "go" / "goa_yeast-2016-10-03.gaf.gz"
needs_go = pytest.mark.skipif(not (LATER.is_file() and GAF.is_file()), reason=f"{LATER} or {GAF} is not there")


def stanzas(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().split("\n\n[")


def tag(stanza: str, name: str) -> list[str]:
    return re.findall(rf"^{name}: (\S+)", stanza, re.MULTILINE)


def slim_of(path: Path, subset: str) -> tuple[str, set[str]]:
    """The terms of a subset and all above them by is_a, as an OBO file; and their ids."""
    header, *others = stanzas(path)
    terms = {tag(s, "id")[0]: s for s in others if s.startswith("Term]") and "is_obsolete: true" not in s}
    chosen: set[str] = set()
    waiting = [term for term, s in terms.items() if subset in tag(s, "subset")]
    while waiting:
        term = waiting.pop()
        if term not in chosen:
            chosen.add(term)
            waiting += tag(terms[term], "is_a")
    return "\n\n[".join([header, *(terms[t] for t in sorted(chosen))]) + "\n", chosen


@needs_go
def test_annotations_of_2016_on_go_of_2021() -> None:
    release = load_release(LATER, GAF)
    _, found = plan_hierarchy(release.ontology, release.annotations, release.genes, PRESETS["true-path"])
    merged: dict[str, str] = {}
    replaced: dict[str, list[str]] = {}
    for stanza in stanzas(LATER)[1:]:
        if stanza.startswith("Term]"):
            (term,) = tag(stanza, "id")
            if "is_obsolete: true" in stanza:
                # an obsolete term's own alternative ids are as obsolete as it is
                replaced.update(dict.fromkeys((term, *tag(stanza, "alt_id")), tag(stanza, "replaced_by")))
            else:
                merged.update(dict.fromkeys(tag(stanza, "alt_id"), term))
    terms = Counter(release.annotations.term)
    assert sum(n for t, n in terms.items() if t in merged) == 1_888
    assert sum(n for t, n in terms.items() if t in replaced and not replaced[t]) == 1_139
    # of the rows whose gene is known, and that say NOT nowhere
    assert 1_800 < found.renamed["merged"] <= 1_888
    assert 0 < found.renamed["replaced"] <= sum(n for t, n in terms.items() if len(replaced.get(t, ())) == 1)
    assert {why for _, why, _ in found.lost_terms} == {"obsolete_term"}
    assert {t for t, _, _ in found.lost_terms} <= set(replaced)
    assert term_warnings(release.ontology, found, "GOA") == ()


@needs_go
def test_a_slim_that_drops_most_rows_is_warned_of(tmp_path: Path) -> None:
    text, chosen = slim_of(LATER, "goslim_generic")
    slim = tmp_path / "slim.obo"
    slim.write_text(text, "utf-8")
    release = load_release(slim, GAF)
    assert set(release.ontology.ids) == chosen
    _, found = plan_hierarchy(release.ontology, release.annotations, release.genes, PRESETS["true-path"])
    (told,) = term_warnings(release.ontology, found, "GOA")
    lost = sum(n for _, _, n in found.lost_terms)
    assert lost > 40_000
    worst = Counter(t for t in release.annotations.term if t not in chosen).most_common(1)[0][0]
    assert found.lost_terms[0][0] == worst == "GO:0016021"
    assert f"{lost:,} of {lost + found.rows_with_term:,} rows are of no live term" in told
    assert "GO:0016021 (1,235, absent)" in told
