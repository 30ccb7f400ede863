"""Synthetic double deletions in the shape of Costanzo 2016: made-up values, made where they are written.

Sample i is the i-th pair of a genome's genes in lexicographic order, which is the order a cache keeps.
Source rows are scattered, as those of a sorted table are. Run as a program to build a cache of N of them:

    python -m tests.benchmarks.synthetic N OUT [BACKEND]
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.contents import make_hierarchy
from gocell_cli.building.plan import (
    BuildOptions,
    BuildPlan,
    make_config,
    make_fingerprint,
    plan_hierarchy,
    shard_bounds,
)
from gocell_cli.domain.genotype import Phenotype
from gocell_cli.domain.term_filters import PRESETS
from gocell_cli.sources.go.releases import load_release
from gocell_cli.storage.schema import Provenance, Samples

SCATTER = 7_368_787  # a prime: row i * SCATTER mod N visits every row once
SHARD = 500_000


@dataclass(frozen=True)
class SyntheticPairs:
    """Pairs [start, stop) of `genes` genes, of `total` samples in all."""

    genes: int
    total: int
    start: int = 0
    stop: int = 0
    row_bytes: float = 0.0

    def part(self, start: int, stop: int) -> "SyntheticPairs":
        return SyntheticPairs(self.genes, self.total, start, stop)

    def samples(self) -> Samples:
        rng = np.random.default_rng(self.start)
        index = np.arange(self.start, self.stop, dtype=np.int64)
        rows_before = np.cumsum(np.arange(self.genes - 1, 0, -1, dtype=np.int64))
        first = np.searchsorted(rows_before, index, side="right")
        second = index - np.concatenate([[0], rows_before])[first] + first + 1
        n = len(index)
        return Samples(
            gene_ptr=np.arange(0, 2 * n + 1, 2, dtype=np.int64),
            genes=np.stack([first, second], axis=1).ravel().astype(np.int32),
            value=rng.normal(-0.03, 0.08, n).round(4),
            statistic=rng.uniform(0, 1, n).round(4),
            dataset=np.zeros(n, dtype=np.int16),
            query_group=first.astype(np.int32),
            source_ptr=np.arange(n + 1, dtype=np.int64),
            source_row=index * SCATTER % self.total + 1,
            query_strain=first.astype(np.int32),
            array_strain=second.astype(np.int32),
        )


def synthetic_plan(samples: int, backends: tuple[str, ...]) -> BuildPlan:
    """Plan a cache of synthetic pairs on the bundled hierarchy."""
    release = load_release(None, None)
    options = BuildOptions(PRESETS["true-path"], backends=backends, shard_size=SHARD)
    terms, _ = plan_hierarchy(release.ontology, release.annotations, release.genes, options.rules)
    names = release.genes.systematic
    phenotype = Phenotype("epsilon", "p_value")
    config = make_config(
        "synthetic",
        (phenotype,),
        options,
        go_release=release.ontology.release,
        sources=release.sha256,
        dataset_options={"samples": str(samples)},
        annotation_options={},
    )
    return BuildPlan(
        config=config,
        fingerprint=make_fingerprint(config),
        hierarchy=make_hierarchy(terms, release.genes, "stratum"),
        source=SyntheticPairs(len(names), samples),
        provenance=Provenance(tuple((f"{n}_dma", n) for n in names), ("deletion",) * len(names), names),
        counts={"rows_read": samples, "samples": samples, "dropped": {}},
        dataset="synthetic",
        datasets=("synthetic",),
        phenotypes=(phenotype,),
        options=options,
        bounds=shard_bounds(samples, SHARD),
        warnings=(),
        notes=(),
    )


if __name__ == "__main__":
    backend = sys.argv[3] if len(sys.argv) > 3 else "parquet"
    build(synthetic_plan(int(sys.argv[1]), (backend,)), Path(sys.argv[2]), BuildMode(overwrite=True))
