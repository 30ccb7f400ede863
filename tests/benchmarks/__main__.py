"""`make bench [ONLY=name]`: run all benchmarks, one group (cli, build, cache), or the module of one figure."""

import sys
from importlib import import_module
from types import ModuleType

GROUPS = {"cli": ("bench_cli",), "build": ("bench_build",), "cache": ("bench_load", "bench_cache")}


def modules() -> dict[str, list[ModuleType]]:
    """The benchmark modules by group."""
    return {g: [import_module(f"tests.benchmarks.{name}") for name in names] for g, names in GROUPS.items()}


def chosen(only: str) -> list[ModuleType]:
    """Return the modules that a name selects; raises SystemExit where none does."""
    groups = modules()
    everything = [module for group in groups.values() for module in group]
    if not only:
        return everything
    found = groups.get(only) or [module for module in everything if only in module.NAMES]
    if not found:
        names = [*groups, *(name for module in everything for name in module.NAMES)]
        raise SystemExit(f"no benchmark {only!r}; there are: {', '.join(names)}")
    return found


if __name__ == "__main__":
    for benchmark in chosen(sys.argv[1] if len(sys.argv) > 1 else ""):
        benchmark.run()
