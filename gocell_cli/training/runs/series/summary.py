"""A series' results as one table: mean, standard deviation and each run of every predictor; how much is the ontology's.

The standard deviation is that of a sample (n - 1), over runs that differ in their seed or fold.
"""

from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from gocell_cli.run_record import BLEND, NETWORK, Numbers, ResultRecord, side_by_side
from gocell_cli.series_record import MemberRecord, SeriesRecord

METRICS = ("pearson", "auroc", "spearman", "rmse", "r2", "average_precision")
"""Those that are joined, where the runs have them."""
_BLEND = "_blend"


def summary(record: SeriesRecord, part: str = "test") -> dict[str, Any]:
    """Return what the finished runs of a series reached on a part of their splits.

    metric: the main one, auroc where labels are 0 and 1, else pearson. rows: for the voices, for each baseline and
    each kind of control, whose network goes by the kind's name and whose blend by that with `_blend`, mean, sd and
    values by run of each metric. ontology, ontology_blend: for each kind of control, how much the network, and the
    blend, is above that of the control of the same seed and split, in the main metric. diverged, missing: runs without
    results, with the reason, and those that are not finished.
    """
    done = [member for member in record.members if member.results is not None]
    found = {member.run: _metrics(member, part) for member in done}
    blends = {member.run: _blend(member, part) for member in done}
    main = "auroc" if any("auroc" in metrics for metrics in found.values()) else "pearson"
    names = [name for name in METRICS if name == main or any(name in metrics for metrics in found.values())]
    plain = [member for member in done if member.control is None]
    each = {m.run: _predictors(m.results[part]) for m in plain if m.results is not None}
    # the first run that has a predictor gives it its place
    names_of = list(dict.fromkeys(name for predictors in each.values() for name in predictors)) or [NETWORK]
    rows = {name: {run: predictors.get(name, {}) for run, predictors in each.items()} for name in names_of}
    kinds = list(dict.fromkeys(member.control for member in record.members if member.control is not None))
    for kind in kinds:
        drawn = [member.run for member in done if member.control == kind]
        rows[kind] = {run: found[run] for run in drawn}
        if any(blends[run] for run in drawn):
            rows[kind + _BLEND] = {run: blends[run] for run in drawn}
    return {
        "part": part,
        "metric": main,
        "rows": {row: {name: _spread(_column(values, name)) for name in names} for row, values in rows.items()},
        "ontology": {kind: _spread(_above(done, found, kind, main)) for kind in kinds},
        "ontology_blend": {kind: _spread(_above(done, blends, kind, main)) for kind in kinds if kind + _BLEND in rows},
        "diverged": {member.run: member.diverged for member in record.members if member.diverged is not None},
        "missing": [member.run for member in record.members if not member.ended],
    }


def _metrics(member: MemberRecord, part: str) -> Numbers:
    return member.results[part].metrics if member.results is not None else {}


def _blend(member: MemberRecord, part: str) -> Numbers:
    voices = member.results[part].voices if member.results is not None else None
    return (voices or {}).get(BLEND, {})


def _predictors(result: ResultRecord) -> dict[str, Numbers]:
    return side_by_side(result.voices, result.metrics, result.baselines)


def _column(values: Mapping[str, Numbers], name: str) -> Numbers:
    return {run: metrics.get(name) for run, metrics in values.items()}


def _above(done: list[MemberRecord], found: Mapping[str, Numbers], kind: str, metric: str) -> Numbers:
    """By control, what its partner reached more than it; nothing where the partner has no results."""
    differences: Numbers = {}
    for member in done:
        partner = found.get(member.partner or "")
        if member.control == kind and partner is not None:
            own, control = partner.get(metric), found[member.run].get(metric)
            differences[member.run] = None if own is None or control is None else own - control
    return differences


def _spread(values: Numbers) -> dict[str, Any]:
    """Mean and sd of the numbers among values by run; None where there are too few."""
    numbers = [value for value in values.values() if value is not None]
    return {
        "mean": fmean(numbers) if numbers else None,
        "sd": stdev(numbers) if len(numbers) > 1 else None,
        "n": len(numbers),
        "values": dict(values),
    }
