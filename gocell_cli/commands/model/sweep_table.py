"""What a sweep says: a line for each trial, then the best of them beside the settings as they are and the baselines."""

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.model.series import LETTERS
from gocell_cli.commands.shell.terminal import line, make_table, note, show, show_result, styled
from gocell_cli.training.runs.sweep.plan import best_config, best_of, gain, row, spread
from gocell_cli.training.runs.sweep.record import BEST, TABLE
from gocell_cli.typed_file import toml_value
from gocell_cli.whole_file import write_whole

if TYPE_CHECKING:
    from gocell_cli.training.runs.sweep.record import SweepRecord
    from gocell_cli.training.runs.sweep.study import Outcome, Trials

AS_THEY_ARE = "as they are"
"""In place of a trial's number: the settings under those that are searched."""
SHOWN = 10
"""Trials that the table on the terminal has, the best first; trials.tsv has all."""


def show_plan(plan: Mapping[str, Any]) -> None:
    """Print what a sweep would train."""
    show(f"cache: {plan['cache']}", *(f"search: {text}" for text in plan["search"]))
    changed = " ".join(f"{name}={toml_value(value)}" for name, value in plan["fixed"].items())
    show(f"all trials: {changed or 'the defaults'}")
    each = f"{plan['trials']:,} trials and the settings as they are, {plan['seeds']} seeds each"
    show(f"{plan['runs']:,} runs at most: {each}{', fewer with --prune' if plan['prune'] else ''}")


class Telling:
    """Tells of a sweep while it goes on, and writes its tables; `metric` is shown beside the loss, which decides."""

    def __init__(self, record: "SweepRecord", trials: "Trials", most: int, metric: str) -> None:
        self.record, self.trials, self.most, self.metric = record, trials, most, metric

    def ended(self, number: int | None) -> None:
        """Say on stderr what a trial gave, and write the tables."""
        base, outcomes = self.trials.base, self.trials.outcomes()
        one = base if number is None else outcomes[number]
        name = "the settings as they are" if number is None else f"trial {number + 1} of {self.most}"
        given = " ".join(f"{key}={_short(value)}" for key, value in one.settings.items())
        note(
            f"{name}: {_figures(row(one), LETTERS[self.metric]) if one.why is None else one.why}; {given}".rstrip("; "),
            "sweep",
        )
        if base.seeds:
            self._write(base, outcomes)

    def _write(self, base: "Outcome", outcomes: "Sequence[Outcome]") -> None:
        best = best_config(self.record.config(), best_of(base, outcomes))
        write_whole(self.trials.directory / TABLE, _table([base, *outcomes], self.metric))
        write_whole(self.trials.directory / BEST, best.to_toml())

    def result(self, *, json: bool) -> None:
        """Print the table, the baselines, and the line that tests the best settings."""
        base, outcomes = self.trials.base, self.trials.outcomes()
        self._write(base, outcomes)
        best = best_of(base, outcomes)
        words = ["gocell", "train", self.record.cache, "--config", str(self.trials.directory / BEST)]
        command = shlex.join([*words, "--seeds", str(self.record.seeds)])
        document = {
            "sweep": str(self.trials.directory),
            "objective": "mean validation loss of the root, in the epoch that training keeps",
            "metric": self.metric,
            "as_they_are": row(base),
            "baselines": _baselines(base, self.metric),
            "trials": [row(one) for one in outcomes],
            "best": row(best),
            "gain": gain(base, best),
            "next_command": command,
        }
        show_result(document, lambda: self._show(document), json=json, essence=str(self.trials.directory / BEST))
        running = sum(one.state == "running" for one in outcomes)
        if running:
            note(f"{running} trials are still trained by other processes", "sweep")

    def _show(self, found: Mapping[str, Any]) -> None:
        letter = LETTERS[self.metric]
        done = sorted((one for one in found["trials"] if one["state"] == "complete"), key=lambda one: one["loss"])
        rows = [_cells(one) for one in (found["as_they_are"], *done[:SHOWN])]
        columns = ["trial", "loss", "sd", letter, "sd", "epochs", "settings"]
        show(make_table("validation, mean over seeds", columns, rows, right=(1, 2, 3, 4, 5)))
        counts = {state: sum(one["state"] == state for one in found["trials"]) for state in ("pruned", "failed")}
        left_out = [f"{count} {state}" for state, count in counts.items() if count]
        show(f"{len(done)} of {len(found['trials'])} trials complete{''.join(f', {text}' for text in left_out)}")
        told = ", ".join(f"{name} {_number(one[self.metric])}" for name, one in found["baselines"].items())
        show(f"baselines on the same parts, by which they chose their own settings, {letter}: {told or 'none'}")
        show(_verdict(found["best"], found["gain"]))
        show(line(styled("bold green", "test the best: "), found["next_command"]))


def _verdict(best: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if best["trial"] is None:
        return "no trial was better than the settings as they are"
    if found["mean"] is None:
        return f"trial {best['trial']} is the best; the settings as they are are still measured by another process"
    sd = "" if found["sd"] is None else f" ± {found['sd']:.4f}"
    by = f"trial {best['trial']} is better than the settings as they are by {found['mean']:.4f}{sd} of loss"
    pairs = f"{found['n']} seed{'s' if found['n'] > 1 else ''}"
    if found["beyond_spread"] is None:
        return f"{by} ({pairs}); one seed cannot tell that from chance"
    if not found["beyond_spread"]:
        return f"{by} ({pairs}): within the spread over seeds, so the search may have found chance"
    return f"{by} ({pairs}): beyond the spread over seeds, though the best of many is partly the luckiest"


def _figures(one: Mapping[str, Any], letter: str) -> str:
    pruned = f", given up after {one['seeds']} seeds" if one["state"] == "pruned" else ""
    return f"loss {_pm(one, 'loss')}, {letter} {_pm(one, 'validation')}, {one['seconds']:,.0f} s{pruned}"


def _pm(one: Mapping[str, Any], name: str) -> str:
    sd = one[f"{name}_sd"]
    mean = one[name if name in one else f"{name}_mean"]
    return _number(mean) + ("" if sd is None else f" ± {sd:.4f}")


def _cells(one: Mapping[str, Any]) -> list[str]:
    name = AS_THEY_ARE if one["trial"] is None else str(one["trial"])
    epochs = "-" if one["mean_epochs"] is None else f"{one['mean_epochs']:.0f}"
    settings = " ".join(f"{key}={_short(value)}" for key, value in one["searched"].items())
    return [
        name,
        *(_number(one[key]) for key in ("loss", "loss_sd", "validation_mean", "validation_sd")),
        epochs,
        settings,
    ]


def _baselines(base: "Outcome", metric: str) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation over seeds of each baseline that all of them have."""
    each = [one.get("baselines", {}) for one in base.seeds]
    names = [name for name in (each[0] if each else {}) if all(name in one for one in each)]
    found = {name: spread([one[name] for one in each]) for name in names}
    return {name: {metric: one["mean"], f"{metric}_sd": one["sd"]} for name, one in found.items()}


def _table(outcomes: "Sequence[Outcome]", metric: str) -> str:
    """The trials as TSV, a column for each setting."""
    rows = [row(one) for one in outcomes]
    names = list(dict.fromkeys(name for one in rows for name in one["searched"]))
    numbers = ("state", "seeds", "loss", "loss_sd", "validation_mean", "validation_sd", "mean_epochs", "seconds")
    text = io.StringIO()
    out = csv.writer(text, delimiter="\t", lineterminator="\n")
    out.writerow(["trial", *(name.replace("validation", metric) for name in numbers), *names, "why"])
    for one in rows:
        first = AS_THEY_ARE if one["trial"] is None else one["trial"]
        cells = [first, *(one[name] for name in numbers), *(one["searched"].get(name) for name in names)]
        out.writerow(["" if cell is None else cell for cell in (*cells, one.get("why"))])
    return text.getvalue()


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
