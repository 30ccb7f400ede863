"""What there is to say of a cache: from above, by level, by gene, by sample, and of a folder of caches.

Every function returns plain values that JSON can hold; commands print them. Only this module and `export` turn indices
into names.
"""

import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.elsewhere import built_elsewhere
from gocell_cli.storage.manifest import read_manifest
from gocell_cli.storage.propagation import reached_terms, terms_by_level
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import MANIFEST, PART_MANIFEST, PARTIAL
from gocell_cli.storage.schema import Hierarchy, Samples


def describe_cache(cache: Cache) -> dict[str, Any]:
    """Return a cache from above: samples by deletions, phenotype, terms by level, terms after each filter."""
    hierarchy, samples = cache.hierarchy, cache.columns()
    level_of_row = hierarchy.level[hierarchy.row_term]
    levels = [
        {
            "level": level,
            "terms": int((hierarchy.level == level).sum()),
            "rows": int((level_of_row == level).sum()),
            "genes": len(np.unique(hierarchy.row_gene[level_of_row == level])),
        }
        for level in np.unique(hierarchy.level).tolist()
    ]
    return {
        "cache": str(cache.directory),
        "datasets": list(cache.manifest.datasets),
        "phenotype": cache.phenotype["kind"],
        "samples": len(samples),
        **_spread(samples.value),
        "merged": _merged(cache),
        "samples_by_deletions": _by_deletions(np.diff(samples.gene_ptr)),
        **({"phenotypes": _phenotypes(cache, samples)} if samples.others else {}),
        "level_by": hierarchy.level_by,
        "levels": levels,
        "terms_after": dict(cache.manifest.counts.get("terms_after", {})),
        "names": list(cache.manifest.counts.get("names", ())),
    }


def _spread(values: Float64[np.ndarray, " n"]) -> dict[str, Any]:
    """How many samples have no value, and mean, SD, least and largest of those that there are."""
    known = values[np.isfinite(values)]  # a mean with one NaN in it is NaN
    return {
        "without_value": len(values) - len(known),
        "spread": {
            name: float(function(known)) if len(known) else None
            for name, function in (("mean", np.mean), ("sd", np.std), ("min", np.min), ("max", np.max))
        },
    }


def _by_deletions(sizes: Int64[np.ndarray, " n"]) -> dict[str, int]:
    """How many samples delete so many genes; JSON's keys are text."""
    found, counts = np.unique(sizes, return_counts=True)
    return {str(k): n for k, n in zip(found.tolist(), counts.tolist(), strict=True)}


def _phenotypes(cache: Cache, samples: Samples) -> list[dict[str, Any]]:
    """Of each of several phenotypes how many samples have it, by deletions too, and how its values lie."""
    sizes, labels = np.diff(samples.gene_ptr), (samples.value, *(label.value for label in samples.others))
    return [
        {
            "phenotype": phenotype["kind"],
            "statistic": phenotype["statistic"],
            "samples": int(np.isfinite(value).sum()),
            **_spread(value),
            "samples_by_deletions": _by_deletions(sizes[np.isfinite(value)]),
        }
        for phenotype, value in zip(cache.manifest.phenotypes, labels, strict=True)
    ]


def _merged(cache: Cache) -> dict[str, Any]:
    """By which rule rows of one genotype were merged, how many there were, and what of them had no weight."""
    config, counts = cache.manifest.config, cache.manifest.counts
    rows = counts["dropped"].get("duplicate_merged", 0)
    return {"rule": config.get("duplicates", "mean"), "rows": rows, **counts.get("weights", {})}


def describe_level(cache: Cache, level: int) -> dict[str, Any]:
    """Return the terms of a level, those of most contained genes first; raises UsageError where it has none."""
    hierarchy = cache.hierarchy
    terms = np.flatnonzero(hierarchy.level == level)
    if not len(terms):
        low, high = int(hierarchy.level.min()), int(hierarchy.level.max())
        hint = f"levels by {hierarchy.level_by} run from {low} to {high}"
        raise UsageError(f"no term is at level {level}", hint=hint)
    # minus, for descending; stable, so terms of as many genes stay in the order of their ids
    terms = terms[np.argsort(-hierarchy.contained_genes[terms], kind="stable")]
    return {"level": level, "level_by": hierarchy.level_by, "terms": [_term(cache, t) for t in terms.tolist()]}


def _term(cache: Cache, term: int) -> dict[str, Any]:
    hierarchy = cache.hierarchy
    return {
        "term": hierarchy.term_ids[term],
        "name": hierarchy.term_names[term],
        "namespace": hierarchy.term_namespaces[term],
        "level": int(hierarchy.level[term]),
        "children": int((hierarchy.edge_parent == term).sum()),
        "direct_genes": int(hierarchy.direct_genes[term]),
        "contained_genes": int(hierarchy.contained_genes[term]),
    }


def describe_gene(cache: Cache, name: str) -> dict[str, Any]:
    """Return a gene's names, the terms that hold it directly, and what its deletion reaches.

    Raises UsageError where no gene is called so, or several are.
    """
    hierarchy = cache.hierarchy
    gene = hierarchy.lookup.gene(name)
    direct = hierarchy.row_term[hierarchy.gene_rows[hierarchy.gene_ptr[gene] : hierarchy.gene_ptr[gene + 1]]]
    reached = reached_terms(hierarchy, [gene])
    return {
        "gene": hierarchy.gene_names[gene],
        "standard": hierarchy.gene_standard[gene],
        "aliases": list(hierarchy.gene_aliases[gene]),
        "ids": list(hierarchy.gene_ids[gene]) if hierarchy.gene_ids else [],
        "terms": [_term(cache, t) for t in direct[np.argsort(hierarchy.level[direct], kind="stable")].tolist()],
        "touched_terms": len(reached),
        "touched_by_level": _by_level(cache, [gene]),
        "samples": len(samples_of(cache, name)),
        **_input(hierarchy, gene),
    }


def _input(hierarchy: Hierarchy, gene: int) -> dict[str, str | float]:
    """What an index of a gene stands for in a cache with channels; nothing elsewhere."""
    found = hierarchy.inputs
    if found is None:
        return {}
    return {
        "of_gene": found.gene[gene],
        "channel": found.channel[gene],
        "state": float(found.state[gene]),
        "wild_type": float(found.base[gene]),
    }


def _by_level(cache: Cache, genes: list[int]) -> dict[str, int]:
    """How many terms of each level the deletion of some genes reaches; JSON's keys are text."""
    counts = terms_by_level(cache.hierarchy, reached_terms(cache.hierarchy, genes))
    return {str(level): n for level, n in counts.items()}


def samples_of(cache: Cache, gene: str | None) -> Sequence[int]:
    """Return the samples that delete a gene, all where it is None; raises UsageError as `describe_gene` does."""
    if gene is None:
        return range(len(cache))
    index, samples = cache.hierarchy.lookup.gene(gene), cache.columns()
    # which sample each entry of `genes` belongs to
    owner = np.repeat(np.arange(len(samples)), np.diff(samples.gene_ptr))
    found: list[int] = np.unique(owner[samples.genes == index]).tolist()
    return found


def list_samples(cache: Cache, chosen: Sequence[int]) -> list[dict[str, Any]]:
    """Return some samples, each with its deleted genes and its value."""
    names, standard, rows = cache.hierarchy.gene_names, cache.hierarchy.gene_standard, cache.rows(chosen)
    found = []
    for i, index in enumerate(chosen):
        genes = rows.genes[rows.gene_ptr[i] : rows.gene_ptr[i + 1]].tolist()
        found.append(
            {
                "sample": index,
                "genes": [names[g] for g in genes],
                "standard_names": [standard[g] or names[g] for g in genes],
                "value": float(rows.value[i]),
            }
        )
    return found


def describe_sample(cache: Cache, index: int) -> dict[str, Any]:
    """Return one sample: deleted genes, phenotype, provenance, the mutant_state rows that switch to 0.

    `checks` says of the whole table whether exactly the rows of deleted genes are 0. Raises UsageError where there is
    no such sample.
    """
    if not 0 <= index < len(cache):
        last = len(cache) - 1
        raise UsageError(
            f"sample {index}: {cache.directory} holds samples 0 to {last}", hint=f"gocell inspect sample {last}"
        )
    sample, hierarchy = cache.sample(index), cache.hierarchy
    named = zip(cache.manifest.phenotypes[1:], sample.others, strict=False)  # none of a cache opened by one phenotype
    others = [_label(phenotype, *label) for phenotype, label in named]
    term, gene, level, state = cache.mutant_state([index])[0].T
    deleted = np.isin(gene, sample.genes)
    zero = np.flatnonzero(state == 0)
    # lexsort's last key comes first: by gene, within it by level, then by term
    zero = zero[np.lexsort((term[zero], level[zero], gene[zero]))]
    return {
        "sample": index,
        "genes": [hierarchy.gene_names[g] for g in sample.genes],
        "standard_names": [hierarchy.gene_standard[g] for g in sample.genes],
        **_label(cache.phenotype, sample.value if np.isfinite(sample.value) else None, sample.statistic),
        **({"other_phenotypes": others} if others else {}),
        "provenance": _provenance(cache, index),
        "rows": len(state),
        "rows_zero": len(zero),
        "level_by": hierarchy.level_by,
        "touched_by_level": _by_level(cache, list(sample.genes)),
        "terms": [
            {
                "gene": hierarchy.gene_names[gene[row]],
                "term": hierarchy.term_ids[term[row]],
                "name": hierarchy.term_names[term[row]],
                "namespace": hierarchy.term_namespaces[term[row]],
                "level": int(level[row]),
                **_input(hierarchy, int(gene[row])),
            }
            for row in zero.tolist()
        ],
        "checks": {
            "deleted_rows_are_0": bool((state[deleted] == 0).all()),
            "other_rows_are_1": bool((state[~deleted] == 1).all()),
        },
    }


def _label(phenotype: Mapping[str, str], value: float | None, statistic: float | None) -> dict[str, Any]:
    """A sample's label; `value` is None where it lacks the phenotype."""
    about = {"phenotype": phenotype["kind"], "value": value, "statistic": statistic}
    return {**about, "statistic_kind": phenotype["statistic"] or None}


def _provenance(cache: Cache, index: int) -> dict[str, Any]:
    sample, names = cache.sample(index), cache.provenance

    def strain(side: str, index: int | None) -> dict[str, str | float | None]:
        if index is None:
            return dict.fromkeys(f"{side}_{what}" for what in ("strain", "allele", "kind", "fitness"))
        (strain, allele), kind = names.strains[index], names.kinds[index]
        fitness = names.fitness[index] if names.fitness else None
        return {f"{side}_strain": strain, f"{side}_allele": allele, f"{side}_kind": kind, f"{side}_fitness": fitness}

    return {
        "dataset": cache.manifest.datasets[sample.dataset],
        "query_group": None if sample.query_group is None else _short(names.query_groups[sample.query_group]),
        "sources": [{**_place(cache, row), **strain("query", q), **strain("array", a)} for row, q, a in sample.sources],
    }


def _place(cache: Cache, row: int) -> dict[str, Any]:
    """Return a source row's file and its row there, where a data set has several files."""
    # files are listed by first_row, so the last one that begins at or before the row holds it
    files = [f for f in cache.manifest.counts.get("files", ()) if f["first_row"] <= row]
    if not files:
        return {"row": row}
    return {"file": files[-1]["name"], "row": row - files[-1]["first_row"] + 1}


def _short(group: str) -> str:
    """The first of the query groups that merged rows joined into one, and how many more there are."""
    first, *others = group.split(";")
    return f"{first} and {len(others)} more" if others else first


def caches_in(folder: Path) -> list[dict[str, Any]]:
    """Describe every directory of a folder: finished, part, unfinished or damaged."""
    return [_describe(path) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.is_dir() else []


def caches_elsewhere(root: Path) -> list[dict[str, Any]]:
    """Describe the caches that were built from a data root and lie outside it; each is called by its whole path."""
    return [{**_describe(path), "name": str(path)} for path in built_elsewhere(root)]


def what_stands(place: Path) -> str:
    """Say in a few words what cache is at a place: for whoever is about to replace it."""
    found = _describe(place)
    holds = f" of {found['dataset']}, {found['phenotype']}, {found['samples']:,} samples" if found["dataset"] else ""
    return f"a {found['state']} cache{holds}, {found['bytes']:,} bytes"


def _describe(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": path.name, "path": str(path), "bytes": size_of(path)}
    unknown = {"dataset": None, "phenotype": None, "samples": None}
    if path.name.endswith(PARTIAL):
        return {**entry, "state": "unfinished", **unknown}
    part = (path / PART_MANIFEST).is_file()
    try:
        manifest = read_manifest(path, PART_MANIFEST if part else MANIFEST)
    except DamagedCache:
        return {**entry, "state": "damaged", **unknown}
    return {
        **entry,
        "state": "part" if part else "finished",
        "dataset": ", ".join(manifest.datasets),
        "phenotype": ", ".join(phenotype["kind"] for phenotype in manifest.phenotypes),
        "samples": manifest.samples,
    }


def size_of(path: Path) -> int:
    """Return the bytes of all files in a folder; of those that vanish meanwhile none."""
    total = 0
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):
            found = file.lstat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total
