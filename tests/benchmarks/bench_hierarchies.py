"""The hierarchies of GO 2016-12-06 and GOA yeast 2016-10-03 under each preset, beside what others count."""

from pathlib import Path

from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.domain.term_filters import PRESETS
from gocell_cli.sources.go.releases import Release, load_release
from tests.benchmarks.measure import Row, report
from tests.benchmarks.real_data import real_data

COUNTS = ("terms", "edges", "rows", "levels", "neurons")
# Counted by independent code on the same two files, GO:ROOT included; None: only the paper's own count is known.
CHECK = {
    "true-path": (3_793, 7_064, 45_212, 16, 78_758),
    "ma2018": (3_202, 6_628, 53_600, 17, None),
    "torchcell": (2_613, 3_015, 43_540, 10, 56_841),
}
# torchcell's own build (GO 2025-03-16, SGD's annotations per gene), and Ma et al. 2018 (GO of 2016 or before).
PUBLISHED = {"torchcell": (2_655, 3_208, 59_986, 13, 61_429), "ma2018": (2_526, None, None, 12, 97_181)}
NAMES = tuple(f"{preset.replace('-', '_')}_{count}" for preset in CHECK for count in COUNTS)


def counted(release: Release, preset: str) -> tuple[int, ...]:
    """Terms, edges, rows, levels and neurons of a preset's hierarchy."""
    rules = PRESETS[preset]
    terms, _ = plan_hierarchy(release.ontology, release.annotations, release.genes, rules)
    levels = len(set(terms.groupings["stratum"].level.tolist()))
    return len(terms), len(terms.edges), len(terms.row_term), levels, terms.neurons(rules.width_by)


def run() -> None:
    """Count and report."""
    go = real_data() / "go"
    files = (go / "go-2016-12-06.obo.gz", go / "goa_yeast-2016-10-03.gaf.gz")
    release = load_release(*(files if all(map(Path.is_file, files)) else (None, None)))
    rows, notes = [], [f"read from {release.ontology.source} and {release.annotations.source}"]
    for preset, check in CHECK.items():
        found = counted(release, preset)
        published = PUBLISHED.get(preset, (None,) * len(COUNTS))
        for count, ours, theirs, told in zip(COUNTS, found, check, published, strict=True):
            other = told if theirs is None else theirs
            assert other is not None, (preset, count)
            versus = f"{other:,} {'published' if theirs is None else 'counted independently'}"
            rows.append(Row(f"{preset.replace('-', '_')}_{count}", ours, count, versus, ours / other))
        if preset in PUBLISHED:
            pairs = zip(COUNTS, PUBLISHED[preset], strict=True)
            notes.append(f"{preset}, as published: {', '.join(f'{n:,} {c}' for c, n in pairs if n is not None)}")
    report("hierarchies, GO 2016-12-06", rows, notes)
