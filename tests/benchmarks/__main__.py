"""`make bench [ONLY=name]`: run all benchmarks, one group (cli, build, ...), or the module of one figure.

Each module runs in a process of its own: a child's peak memory counts what its parent held when it started.
"""

import subprocess
import sys
from importlib import import_module

GROUPS = {
    "cli": ("bench_cli",),
    "build": ("bench_build",),
    "ontologies": ("bench_ontologies", "bench_hierarchies"),
    "datasets": ("bench_datasets",),
    "names": ("bench_names",),
    "cache": ("bench_load", "bench_cache"),
    "checks": ("bench_checks",),
    "model": ("bench_model",),
    "delta": ("bench_delta",),
    "levels": ("bench_levels",),
    "training": ("bench_training",),
}


def figures(module: str) -> tuple[str, ...]:
    """The figures that a benchmark module reports."""
    names: tuple[str, ...] = import_module(f"tests.benchmarks.{module}").NAMES
    return names


def chosen(only: str) -> tuple[str, ...]:
    """Return the modules that a name selects; raises SystemExit where none does."""
    everything = tuple(module for group in GROUPS.values() for module in group)
    if not only:
        return everything
    found = GROUPS.get(only) or tuple(module for module in everything if only in figures(module))
    if not found:
        names = [*GROUPS, *(name for module in everything for name in figures(module))]
        raise SystemExit(f"no benchmark {only!r}; there are: {', '.join(names)}")
    return found


if __name__ == "__main__":
    for name in chosen(sys.argv[1] if len(sys.argv) > 1 else ""):
        subprocess.run([sys.executable, "-c", f"from tests.benchmarks import {name}; {name}.run()"], check=True)
