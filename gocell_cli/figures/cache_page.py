"""A cache's report: provenance, samples, the filters' funnel, levels."""

from collections.abc import Iterable, Mapping
from typing import Any

from gocell_cli.domain.levels import Grouping, check_levels
from gocell_cli.domain.ontology import Edges
from gocell_cli.figures.cache_figures import funnel, sample_figures
from gocell_cli.figures.level_figures import SAID, LevelPicture, batch_distribution, level_distributions
from gocell_cli.figures.page import Page, PageTable, Picture, Section
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import Manifest
from gocell_cli.storage.schema import Hierarchy


def cache_page(cache: Cache) -> Page:
    """Return the report of a cache."""
    manifest, hierarchy = cache.manifest, cache.hierarchy
    return Page(
        title=cache.directory.name,
        made=f"A gocell cache, built by gocell {manifest.package_version}, fingerprint {manifest.fingerprint}",
        facts=(
            ("samples", f"{manifest.samples:,}"),
            ("phenotype", ", ".join(phenotype["kind"] for phenotype in manifest.phenotypes)),
            ("terms", f"{len(hierarchy.term_ids):,}"),
            ("edges", f"{len(hierarchy.edge_child):,}"),
            ("genes", f"{len(hierarchy.gene_names):,}"),
            ("mutant_state rows", f"{hierarchy.rows:,}"),
            (f"levels by {manifest.level_by}", str(len(manifest.level_counts))),
        ),
        sections=cache_sections(cache),
    )


def cache_sections(cache: Cache) -> tuple[Section, ...]:
    """Return what there is to say of a cache, section by section."""
    return (_samples(cache), _funnel(cache.manifest), _levels(cache), _provenance(cache))


def _samples(cache: Cache) -> Section:
    counts, manifest = cache.manifest.counts, cache.manifest
    rows = [
        ("rows read", counts["rows_read"]),
        *((f"dropped: {reason}", n) for reason, n in counts["dropped"].items()),
        ("samples", manifest.samples),
        ("rows that delete a gene without annotation", counts["rows_with_unannotated_gene"]),
    ]
    kinds = [phenotype["kind"] for phenotype in manifest.phenotypes]
    figure = sample_figures(cache.columns(), cache.hierarchy, *kinds)
    caption = f"{', '.join(kinds)}, deleted genes and mutant_state rows at 0, sample by sample"
    text = "Every row that was read is a sample, part of one, or counted here with the reason why it is not."
    tables = [_counted("", rows)]
    if "simulated" in counts:
        shares = [(name, f"{value:.4f}") for name, value in counts["simulated"].items()]
        tables.append(PageTable("Shares of variance", (), tuple(shares), right=(1,)))
    return Section("Samples", text, tuple(tables), (Picture.of_figure(caption, figure),))


def _funnel(manifest: Manifest) -> Section:
    counts = manifest.counts
    terms, annotations, ontology = counts["terms_after"], counts["annotations"], counts["ontology"]
    steps = dict(sorted(terms.items(), key=lambda step: -step[1]))  # JSON keeps no order, a funnel narrows
    read = [
        ("live terms of the ontology", ontology["terms"]),
        *((name.replace("_", " "), n) for name, n in ontology["dropped"].items()),
    ]
    rows = [
        ("annotation rows read", annotations["rows_read"]),
        *((f"dropped: {reason}", n) for reason, n in annotations["dropped"].items()),
        ("(term, gene) pairs asserted", annotations["pairs_asserted"]),
        ("(term, gene) pairs used", annotations["pairs_used"]),
        # caches of 0.9 and before were built without the count
        *([("genes of ND alone", annotations["nd_only_genes"])] if "nd_only_genes" in annotations else []),
    ]
    picture = Picture.of_figure("Terms after each filter, GO:ROOT counted", funnel(steps, "From GO to the hierarchy"))
    tables = (_counted("Ontology", read), _counted("Terms left by", steps.items()), _counted("Annotations", rows))
    return Section("From raw GO to the hierarchy", "", tables, (picture,))


def _levels(cache: Cache) -> Section:
    manifest = cache.manifest
    picture = level_picture(cache.hierarchy, f"{cache.directory.name}, hierarchy in use")
    reports = [check_levels(grouping, picture.edges) for grouping in picture.groupings.values()]
    verdicts = [
        (SAID[r.by], str(r.groups), f"{r.same_level:,}", f"{r.inverted:,}", "holds" if r.ok else "DOES NOT HOLD")
        for r in reports
    ]
    columns = ("grouping", "batches", "same-level edges", "inverted edges", "verdict")
    text = (
        f"This cache's level is its {manifest.level_by}. A model may run it level by level, because no edge joins terms"
        " of one level and none leads upwards; the other groupings stand beside it."
    )
    pictures = (
        Picture.of_figure(
            "Terms by four meanings of level, and the edges that break them", level_distributions(picture)
        ),
        Picture.of_figure("Terms that run at once", batch_distribution(picture)),
    )
    return Section("Levels", text, (PageTable("", columns, tuple(verdicts), right=(1, 2, 3)),), pictures)


def level_picture(hierarchy: Hierarchy, title: str) -> LevelPicture:
    """Return what the level figures draw of a cache's hierarchy."""
    levels = {
        "level": hierarchy.go_level,
        "depth": hierarchy.go_depth,
        "stratum": hierarchy.stratum,
        "height": hierarchy.height,
    }
    groupings = {by: Grouping(by, level) for by, level in levels.items()}
    return LevelPicture(title, groupings, Edges(hierarchy.edge_child, hierarchy.edge_parent))


def _provenance(cache: Cache) -> Section:
    manifest, config = cache.manifest, cache.manifest.config
    rows = [
        ("data sets", ", ".join(manifest.datasets)),
        ("GO release", str(config["go_release"])),
        ("fingerprint", manifest.fingerprint),
        ("gocell, cache format", f"{manifest.package_version}, {manifest.format_version}"),
        ("backends", ", ".join(config["backends"])),
        ("shards", f"{len(manifest.shards):,} of up to {config['shard_size']:,} samples"),
        ("strains, query groups", f"{len(cache.provenance.strains):,}, {len(cache.provenance.query_groups):,}"),
    ]
    chosen = {**config.get("filters", {}), **config.get("dataset_options", {}), **config.get("annotation_options", {})}
    chosen |= {name: config[name] for name in ("keep_unannotated", "duplicates") if name in config}
    files = [(f["name"], f"{f['rows_read']:,}") for f in manifest.counts.get("files", ())]
    tables = [
        PageTable("", (), tuple(rows)),
        PageTable("Options", (), tuple((name, _said(value)) for name, value in sorted(chosen.items()))),
        PageTable(
            "Sources, sha256",
            (),
            # Hashes of several bundled tables are joined by `+`; blanks let the page break the line there.
            tuple((name, str(digest).replace("+", " + ")) for name, digest in config["sources"].items()),
        ),
    ]
    if files:
        tables.append(PageTable("Files", ("file", "rows read"), tuple(files), right=(1,)))
    return Section("Provenance", "", tuple(tables))


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _counted(title: str, rows: Iterable[tuple[str, int]]) -> PageTable:
    return PageTable(title, (), tuple((name, f"{n:,}") for name, n in rows), right=(1,))
