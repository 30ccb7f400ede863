"""The benchmark's page: a table for each task, written from what was measured and from nothing else."""

import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch

from gocell_cli.run_record import NETWORK
from tests.benchmarks.measure import cores
from tools.benchmark.measured import BLEND_CONTROLS, CONTROLS, VOICES, Effort, Measured, Predictor
from tools.benchmark.tasks import RECIPE, Task

METRICS = {"pearson": "r", "auroc": "AUROC"}
OURS = {NETWORK, *CONTROLS.values(), *BLEND_CONTROLS.values(), *VOICES.values()}
"""What is a run's; everything else is a baseline."""
INTRODUCTION = """# Benchmark

Is a network wired like the cell worth its time? A run's answer, the blend of its voices, and each of them: DCell, with
the settings that this page names, the wide part and the neighbours; beside what needs no network, and beside DCell on
hierarchies that are none; on every data set at hand. Written by `make benchmark`; nothing here is by hand.

A value is of the test part: mean and standard deviation over {seeds} seeds, of which each draws its own split and first
weights, and each seed's own. Baselines see the same training part and take their settings from the same validation
part ([what they are](howto/settings.md)). A control is the same network with the same voices, trained alike on the same
split, over a hierarchy of which one thing is drawn at random: what it reaches is not the ontology's.
"""


QUICK = """This is the quick form: a part of the training samples and few epochs. It tries the benchmark itself; no
figure here is the best that a network, or a baseline, can do.
"""


def page(
    measured: Sequence[Measured],
    missing: Sequence[Task],
    effort: Effort,
    seconds: float,
    left_out: Sequence[Task] = (),
) -> str:
    """Return the page in Markdown; `missing` has no data here, `left_out` nobody asked for."""
    begin = [INTRODUCTION.format(seeds=effort.seeds), *([QUICK] if effort.quick else [])]
    parts = [*begin, _summary(measured), *map(_task, measured)]
    parts += [f"## {task.name}\n\nNot run: {task.data.missing}.\n" for task in missing]
    parts += [f"## {task.name}\n\nNot asked for: `make benchmark ONLY={task.name}`.\n" for task in left_out]
    parts.append(_conditions(effort, seconds))
    return "\n".join(parts)


def _summary(measured: Sequence[Measured]) -> str:
    lines = [
        "## In short",
        "",
        "| task | | blend of all voices | its genes shuffled | without DCell | DCell | its genes shuffled "
        "| best baseline | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        others = {n: p for n, p in one.predictors.items() if n not in OURS}
        means = {name: mean for name, p in others.items() if (mean := _mean(p)) is not None}
        best = max(means, key=means.__getitem__) if means else None
        blends = VOICES["blend"], BLEND_CONTROLS["genes"], VOICES["without_dcell"]
        shown = (*blends, NETWORK, CONTROLS["genes"])
        cells = [_spread(one.predictors[name]) if name in one.predictors else "" for name in shown]
        link = f"[{one.task.name}](#{one.task.name})"
        cells = [link, METRICS[one.task.metric], *cells, _spread(others[best]) if best else "", best or ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join((*lines, ""))


def _task(one: Measured) -> str:
    """A task's table, the best first, with what was asked and what its test parts have in common with training."""
    task = one.task
    seeds = sorted(one.predictors[NETWORK].values)
    ordered = sorted(one.predictors.items(), key=lambda item: -(_mean(item[1]) or -math.inf))
    rows = [
        f"| {_name(name)} | {_spread(p)} | {' | '.join(_number(p.values.get(s)) for s in seeds)} "
        f"| {statistics.median(p.seconds):,.1f} |"
        for name, p in ordered
        if _mean(p) is not None
    ]
    reasons = [f"- {name}: {p.reason}" for name, p in ordered if _mean(p) is None and p.reason]
    return "\n".join(
        (
            f"## {task.name}",
            "",
            f"{task.data.title}; split `{task.split}`: {task.question}. {_sizes(one)}",
            "",
            f"| {METRICS[task.metric]} of the test part | mean ± sd | {' | '.join(f'seed {s}' for s in seeds)} | s |",
            f"|---|---|{'---|' * len(seeds)}---|",
            *rows,
            "",
            *(["Not defined here:", "", *reasons, ""] if reasons else []),
            *[f"- seed {s}: {a.says()}" for s, a in zip(seeds, one.adds, strict=True) if a is not None],
            "",
            *_ontology(one),
            _ceiling(one),
            "",
            f"`{one.command}`; epochs: {', '.join(map(str, one.epochs))}.",
            "",
        )
    )


def _sizes(one: Measured) -> str:
    first = one.splits[0]
    parts = ", ".join(f"{getattr(first, part):,} {part}" for part in ("train", "validation", "test"))
    unseen = statistics.mean(s.test_with_new_gene / s.test for s in one.splits)
    told = f"Seed 0: {parts} samples; of test samples {unseen:.0%} delete a gene never deleted in training"
    groups = [s.test_groups_in_train for s in one.splits if s.test_groups_in_train is not None]
    return f"{told}, {statistics.mean(groups):.0%} are of a query that trains." if groups else f"{told}."


def _ontology(one: Measured) -> list[str]:
    """What of the network's value, and of the blend's, is the ontology's: its own less its controls', seed by seed."""
    lines = []
    for what, own, names in (("DCell", NETWORK, CONTROLS), ("the blend", VOICES["blend"], BLEND_CONTROLS)):
        for kind, name in names.items():
            control = one.predictors.get(name)
            pairs = [] if control is None or own not in one.predictors else _differences(one.predictors[own], control)
            if len(pairs) > 1:
                lines.append(f"- {what}, {kind}: {statistics.mean(pairs):+.3f} ± {statistics.stdev(pairs):.3f}")
    return ["DCell and the blend less their controls, of the same seeds:", "", *lines, ""] if lines else []


def _differences(a: Predictor, b: Predictor) -> list[float]:
    both = [(x, b.values.get(seed)) for seed, x in a.values.items()]
    return [x - y for x, y in both if x is not None and y is not None]


def _ceiling(one: Measured) -> str:
    value, method = one.ceiling
    return f"Noise ceiling: {method}." if value is None else f"Noise ceiling: r {value:.3f} ({method})."


def _name(name: str) -> str:
    return f"**{name}**" if name in OURS else name


def _mean(one: Predictor) -> float | None:
    found = [value for value in one.values.values() if value is not None]
    return statistics.mean(found) if found else None


def _spread(one: Predictor) -> str:
    found = [value for value in one.values.values() if value is not None]
    if not found:
        return "-"
    sd = f" ± {statistics.stdev(found):.3f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):.3f}{sd}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _conditions(effort: Effort, seconds: float) -> str:
    spent = f"{seconds / 60:,.0f} minutes in this call" if seconds >= 60 else "all runs were there already"
    return "\n".join(
        (
            "## How it was measured",
            "",
            f"`make benchmark{' QUICK=1' if effort.quick else ''}`: {spent}, {effort.jobs} runs at a time on {cores()} "
            f"cores ({_processor()}), PyTorch {torch.__version__}. Beside `gocell train`'s defaults: "
            f"`{' '.join(RECIPE)}`. The last column is seconds, the median over seeds: of a network's epochs, with "
            "other runs beside it; of a baseline's fit with the choice of its settings.",
            "",
        )
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text("utf-8").splitlines() if "model name" in line]
    return names[0] if names else f"{platform.machine()}, {os.cpu_count()} cores"
