"""The voices by name, and which of them a run may be asked for; no library is loaded for that."""

from collections.abc import Mapping

from gocell_cli.errors import UsageError

DCELL, WIDE, NEIGHBOURS, ENCODER, BLEND = "dcell", "wide", "neighbours", "encoder", "blend"
LEFT_OUT = "without_"
"""Before a voice's name: the blend of all the others."""
FITTED = (WIDE, NEIGHBOURS, ENCODER)
"""The voices beside the network."""
FROM_NETWORK = (DCELL, ENCODER)
"""The voices that are nothing without the trained network: what it is worth is what both are worth."""
ASKED = (BLEND, DCELL, *FITTED)
"""Those that a run may be asked for."""


def chosen_voice(wanted: str | None, there: list[str], missing: Mapping[str, str] | None = None) -> str:
    """Return the voice that answers: the one wanted, else the blend where there are others than the network.

    `there` are the voices of the run, `missing` those that it was to have, and why not. Raises UsageError for a name of
    none, and for a voice that the run has not.
    """
    if wanted is None:
        return BLEND if there else DCELL
    if wanted not in ASKED:
        raise UsageError(f"no model {wanted[:80]!r}", hint=f"--model {', '.join(ASKED)}")
    if wanted != DCELL and wanted not in (*there, *([BLEND] if there else [])):
        known = ", ".join(name for name in ASKED if name == DCELL or (there and name == BLEND) or name in there)
        why = (missing or {}).get(wanted, "")
        hint = f"--model {known}" if why else f"--model {known}; or train with {wanted}=auto"
        raise UsageError(f"this run has no {wanted}", why=why, hint=hint)
    return wanted
