"""What pyproject.toml asks for, extra by extra; and the lowest versions that it allows.

python -m tests.packaging.requirements lowest [EXTRA ...]    # pip constraints: each bound's lower end
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PINNED_HERE = ("torch",)
"""Left at the version of constraints.txt: an older torch would bring gigabytes of CUDA."""


def project() -> dict[str, object]:
    """The [project] table."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def requirements(extra: str = "") -> list[Requirement]:
    """The requirements of an extra, or of the bare installation."""
    table = project()
    lines = table["optional-dependencies"][extra] if extra else table["dependencies"]  # type: ignore[index]
    return [Requirement(line) for line in lines]  # type: ignore[union-attr]


def names(extra: str = "") -> set[str]:
    """The canonical names of those distributions."""
    return {canonicalize_name(requirement.name) for requirement in requirements(extra)}


def lowest(extras: list[str]) -> list[str]:
    """`name==version` of each lower bound, sorted."""
    found = {}
    for requirement in [r for extra in ("", *extras) for r in requirements(extra)]:
        bound = next(s.version for s in requirement.specifier if s.operator == ">=")
        if requirement.name not in PINNED_HERE:
            found[requirement.name] = bound
    return [f"{name}=={version}" for name, version in sorted(found.items())]


if __name__ == "__main__":
    print("\n".join(lowest(sys.argv[2:])))
