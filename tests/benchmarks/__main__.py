"""`make bench [ONLY=name]`: run all benchmarks, one group (cli, build, cache), or the group of one figure."""

import sys
from types import ModuleType

from tests.benchmarks import bench_build, bench_cache, bench_cli

GROUPS: dict[str, ModuleType] = {"cli": bench_cli, "build": bench_build, "cache": bench_cache}


def chosen(only: str) -> list[ModuleType]:
    """Return the groups that a name selects; raises SystemExit where none does."""
    if not only:
        return list(GROUPS.values())
    groups = [module for name, module in GROUPS.items() if only == name or only in module.NAMES]
    if not groups:
        names = [n for name, module in GROUPS.items() for n in (name, *module.NAMES)]
        raise SystemExit(f"no benchmark {only!r}; there are: {', '.join(names)}")
    return groups


if __name__ == "__main__":
    for module in chosen(sys.argv[1] if len(sys.argv) > 1 else ""):
        module.run()
