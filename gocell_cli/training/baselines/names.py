"""The baselines by name, and which of them a run asks for; no library is loaded for that."""

from collections.abc import Sequence

from gocell_cli.errors import UsageError

NAMES = (
    "mean",
    "query_mean",
    "additive",
    "roles",
    "multiplicative",
    "pair_ridge",
    "profile_neighbours",
    "go_neighbours",
    "low_rank",
    "factorisation",
    "boosted_trees",
    "mlp",
    "baseline_blend",
)
"""In the order in which they are fitted: a baseline may read those before it, and the blend reads all."""
ALL, DEFAULT, NONE = "all", "default", "none"


def chosen_names(wanted: str) -> tuple[str, ...]:
    """Return the baselines that `default`, `all`, `none` or NAME,NAME ask for, in the order of NAMES.

    Raises UsageError for a name of none.
    """
    if wanted in (ALL, DEFAULT):
        return NAMES
    words = [] if wanted == NONE else _words(wanted)
    unknown = [word for word in words if word not in NAMES]
    if unknown:
        raise UsageError(
            f"no baseline {unknown[0][:80]!r}", hint=f"--baselines default, all, none, or of: {','.join(NAMES)}"
        )
    return tuple(name for name in NAMES if name in words)


def _words(wanted: str) -> Sequence[str]:
    return [word.strip() for word in wanted.split(",")]
