"""What a trial of a sweep trains, how it is measured, and which settings come out: by validation parts alone.

The settings' own test part is that of every run, and no run looks at it; each seed has a validation part of its own,
drawn from all other samples, for one part and one seed cannot tell settings apart.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.going_on import deciding_loss
from gocell_cli.training.runs.sweep.study import Outcome


def member_config(base: RunConfig, settings: Mapping[str, Any], number: int) -> RunConfig:
    """Return the settings of a trial's run, by number from 0; raises UsageError where they exclude each other."""
    seed = base.seed + number
    parts = {"seed": seed, "split_seed": base.split_choice().seed, "validation_seed": seed}
    return base.changed({**settings, **parts})


def measured(history: Sequence[Mapping[str, Any]], metric: str, seed: int) -> dict[str, Any]:
    """Return what a trained run reached on its validation part, in the epoch that training chose.

    loss: the root's, by which it is chosen. value: `metric`, r or AUROC; None where the part does not define it.
    """
    best = min(history, key=lambda line: deciding_loss(line["train"], line["validation"]))
    return {
        "seed": seed,
        "loss": deciding_loss(best["train"], best["validation"]),
        "value": best["validation"].get(metric),
        "epoch": best["epoch"],
        "epochs": len(history),
        "seconds": round(sum(sum(line["seconds"].values()) for line in history), 3),
    }


def best_of(base: Outcome, trials: Sequence[Outcome]) -> Outcome:
    """Return the complete trial of the least loss, or the settings as they are where none is less than theirs."""
    done = [one for one in (base, *trials) if one.state == "complete" and one.seeds]
    return min(done, key=lambda one: one.loss, default=base)


def best_config(base: RunConfig, best: Outcome) -> RunConfig:
    """Return the settings to train with: the test part that no trial saw, whatever the seeds of a series are."""
    return base.changed({**best.settings, "split_seed": base.split_choice().seed})


def gain(base: Outcome, best: Outcome) -> dict[str, Any]:
    """Return by how much the best trial's loss is less than that of the settings as they are, pair by pair of a seed.

    beyond_spread: whether the mean is above twice its standard error; None of fewer than two pairs. The best of many
    trials is in part the luckiest, so that it is said too often rather than too seldom.
    """
    own = {one["seed"]: one["loss"] for one in base.seeds}
    pairs = [own[one["seed"]] - one["loss"] for one in best.seeds if one["seed"] in own]
    mean, sd = (fmean(pairs) if pairs else None), (stdev(pairs) if len(pairs) > 1 else None)
    beyond = None if mean is None or sd is None else bool(mean > 2 * sd / len(pairs) ** 0.5)
    return {"mean": mean, "sd": sd, "n": len(pairs), "beyond_spread": beyond}


def spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean and standard deviation (n - 1) of the numbers among values; None where there are too few."""
    known = [value for value in values if value is not None]
    return {"mean": fmean(known) if known else None, "sd": stdev(known) if len(known) > 1 else None}


def row(one: Outcome) -> dict[str, Any]:
    """Return a trial as a table has it: its number from 1, means and deviations over its seeds, its settings."""
    loss, score = (spread([seed[name] for seed in one.seeds]) for name in ("loss", "value"))
    return {
        "trial": None if one.number is None else one.number + 1,
        "state": one.state,
        "seeds": len(one.seeds),
        "loss": loss["mean"],
        "loss_sd": loss["sd"],
        "validation_mean": score["mean"],
        "validation_sd": score["sd"],
        "mean_epochs": spread([float(seed["epochs"]) for seed in one.seeds])["mean"],
        "seconds": round(sum(seed["seconds"] for seed in one.seeds), 1),
        "searched": one.settings,
        **({} if one.why is None else {"why": one.why}),
    }
