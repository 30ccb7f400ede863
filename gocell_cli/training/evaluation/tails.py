"""Which scores count as interactions: the tails of a phenotype, as published or as a run says. No torch."""

import math
from dataclasses import dataclass

from gocell_cli.errors import UsageError


@dataclass(frozen=True)
class Tails:
    """Scores of at most `low` are negative interactions, of at least `high` positive ones; None: none are asked for."""

    low: float | None
    high: float | None


NO_TAILS = Tails(None, None)
PUBLISHED = {
    "s_score": Tails(-2.5, 2.0),  # Collins et al. 2007, doi:10.1038/nature05649
    "tau": Tails(-0.08, None),  # Kuzmin et al. 2018, doi:10.1126/science.aao1729: negative ones alone, P < 0.05
    "epsilon": Tails(-0.08, 0.08),  # Costanzo et al. 2016, doi:10.1126/science.aaf1420: intermediate, P < 0.05
}
AUTO, NONE = "auto", "none"


def tails_of(setting: str, phenotype: str) -> Tails:
    """Return the tails that `auto`, `none` or LOW,HIGH name; either number of LOW,HIGH may be left out.

    auto: as published for the phenotype, none for another one. Raises UsageError for anything else.
    """
    if setting in (AUTO, NONE):
        return PUBLISHED.get(phenotype, NO_TAILS) if setting == AUTO else NO_TAILS
    words = setting.split(",")
    try:
        low, high = (float(word) if word.strip() else None for word in words)
    except ValueError:
        raise _no_tails(setting) from None
    if any(x is not None and not math.isfinite(x) for x in (low, high)):
        raise _no_tails(setting)
    return Tails(low, high)


def _no_tails(setting: str) -> UsageError:
    return UsageError(f"tails is {setting[:80]!r}", hint="--set tails=auto, none, or LOW,HIGH such as '-2.5,2'")
