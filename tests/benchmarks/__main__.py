"""`make bench [ONLY=name,name]`: run all benchmarks, some groups (cli, build, ...), or the modules of some figures.

Each module runs in a process of its own: a child's peak memory counts what its parent held when it started.
"""

import subprocess
import sys
from importlib import import_module

GROUPS = {
    "cli": ("bench_cli",),
    "build": ("bench_build",),
    "long": ("bench_long_table",),
    "ontologies": ("bench_ontologies", "bench_hierarchies"),
    "datasets": ("bench_datasets",),
    "names": ("bench_names",),
    "cache": ("bench_load", "bench_cache"),
    "checks": ("bench_checks",),
    "model": ("bench_model",),
    "delta": ("bench_delta",),
    "ready": ("bench_ready",),
    "coldstart": ("bench_coldstart",),
    "peers": ("bench_peers",),
    "levels": ("bench_levels",),
    "planted": ("bench_planted",),
    "training": ("bench_training",),
}


def figures(module: str) -> tuple[str, ...]:
    """The figures that a benchmark module reports."""
    names: tuple[str, ...] = import_module(f"tests.benchmarks.{module}").NAMES
    return names


def chosen(only: str) -> tuple[str, ...]:
    """Return the modules that names, comma separated, select, each once; raises SystemExit where one selects none."""
    everything = tuple(module for group in GROUPS.values() for module in group)
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    found = [module for name in wanted for module in named(name, everything)]
    return tuple(dict.fromkeys(found)) if wanted else everything


def named(name: str, everything: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules of one group, or that report one figure."""
    found = GROUPS.get(name) or tuple(module for module in everything if name in figures(module))
    if not found:
        names = [*GROUPS, *(figure for module in everything for figure in figures(module))]
        raise SystemExit(f"no benchmark {name!r}; there are: {', '.join(names)}")
    return found


if __name__ == "__main__":
    for name in chosen(sys.argv[1] if len(sys.argv) > 1 else ""):
        subprocess.run([sys.executable, "-c", f"from tests.benchmarks import {name}; {name}.run()"], check=True)
