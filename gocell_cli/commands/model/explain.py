"""`gocell explain`: which terms a trained network uses, and what a deletion does to them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.evaluate import opened_cache
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.completion import complete_run
from gocell_cli.commands.shell.gene_lists import gene_entries
from gocell_cli.commands.shell.places import Force, runs_named
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table, write_table
from gocell_cli.commands.shell.terminal import make_table, note, show, show_json
from gocell_cli.errors import CannotWrite, Unfinished, UsageError
from gocell_cli.run_record import NETWORK, beside_singles
from gocell_cli.whole_file import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gocell_cli.run_record import AddsRecord, RunRecord
    from gocell_cli.storage.schema import Hierarchy
    from gocell_cli.training.evaluation.terms.orders import Cutoffs
    from gocell_cli.training.evaluation.terms.recovery import Recovery
    from gocell_cli.training.inference.explain import TermEffect
    from gocell_cli.training.runs.explaining import Comparison, ScoreRequest, TermRanking
    from gocell_cli.training.runs.interactions import TermInteractions


class TermOrder(StrEnum):
    """What terms are ranked by."""

    EXCESS = "excess"
    POWER = "power"
    DIFFERENCE = "difference"
    RLIPP = "rlipp"


RunDirs = Annotated[
    list[Path],
    typer.Argument(
        help="A run's directory, or a series'; several: how far their rankings agree. Runs on control hierarchies are"
        " controls.",
        autocompletion=complete_run,
        callback=runs_named,
    ),
]
ControlRuns = Annotated[
    list[Path] | None,
    typer.Option(
        "--control-runs",
        help="A run on a control hierarchy of the same terms, to hold scores against; repeatable.",
        callback=runs_named,
    ),
]
Asked = tuple[int, str, "Cutoffs"]
"""Samples of either part, order and cut-offs, as ScoreRequest has them."""
OneGenotype = Annotated[
    str | None, typer.Option("--genes", help="Also the effect of deleting these genes, or those of @FILE.")
]
Top = Annotated[
    int, typer.Option(min=1, help="Terms to print, of which JSON holds all, and pairs of terms that interact.")
]
Most = Annotated[
    int,
    typer.Option(
        "--rlipp-samples",
        min=8,
        help="Samples drawn of the validation part, where terms' regressions are fitted, and of the test part, where"
        " they are judged.",
    ),
]
OldMost = Annotated[int | None, typer.Option("--samples", min=8, hidden=True, help="What --rlipp-samples was called.")]
OrderBy = Annotated[
    TermOrder,
    typer.Option(
        "--sort",
        help="What leads: excess (power beyond the term's share of the deletions), power, difference (power less the"
        " children's) or rlipp (power divided by it).",
    ),
]
LeastPower = Annotated[
    float | None,
    typer.Option(
        "--least-power",
        min=0,
        max=1,
        help="Rank no term of less power, and take no ratio to less; default: what chance exceeds once in twenty.",
    ),
]
LeastActivations = Annotated[
    int, typer.Option("--least-activations", min=2, help="Rank no term of fewer distinct activations.")
]
EvenSo = Annotated[
    bool, typer.Option("--even-so", help="Print the ranking even where the network adds nothing to the other voices.")
]
TableOut = Annotated[Path | None, typer.Option("--out", "-o", help=f"Table of all terms and their scores: {KINDS}.")]
COUNTS = ("activations", "screen_genes", "ranked_in", "rank_best", "rank_worst")
SHOWN = ("excess", "power", "children_power", "difference", "rlipp", "p_value", "q_value", *COUNTS[:2])
SPREAD = ("score_sd", "ranked_in", "rank_median", "rank_best", "rank_worst")
AGAINST = ("control_score", "p_controls")
AXES = {
    "excess": "excess: power² beyond the term's share of all deletions",
    "power": "power: rank correlation with the phenotype on the test part",
    "difference": "difference: power less that of the term's children",
    "rlipp": "RLIPP: power divided by that of the term's children",
}
"""What the axis of a ranking says."""
TAUGHT = ("recovered", "from_genes", "from_untrained")
"""Of simulated data: the share of the teacher's activity that is told by the network, by the genes, untrained."""


def explain(
    runs: RunDirs,
    genes: OneGenotype = None,
    sort: OrderBy = TermOrder.EXCESS,
    control_runs: ControlRuns = None,
    rlipp_samples: Most = 1000,
    samples: OldMost = None,
    least_power: LeastPower = None,
    least_activations: LeastActivations = 3,
    top: Top = 20,
    even_so: EvenSo = False,
    phenotype: opt.OfSeveral = None,
    out: TableOut = None,
    overwrite: Force = False,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Rank the terms by what their activations know of the phenotype, and show what a deletion does to them.

    Of several runs (seeds, folds): each term's ranks beside each other, and beside those of runs on control
    hierarchies. The ranking reads the run's cache; where that is gone, --genes still shows what the deletion does.
    No ranking is printed where the network adds nothing to the run's other voices, by an interval: words say so.
    Of one run, the pairs of terms that interact follow, each with its interval: by its training pairs and wide part.
    """
    from gocell_cli.training.evaluation.terms.orders import Cutoffs

    require_table(out, overwrite=overwrite, json=json)
    genes = None if genes is None else ",".join(gene_entries([genes]))
    own, others = _sorted_out(_members(runs), _members(control_runs or []))
    asked = (samples or rlipp_samples, sort.value, Cutoffs(least_power, least_activations))
    told = _Told(top, out, even_so=even_so, json=json, phenotype=phenotype or "")
    if len(own) == 1 and not others:
        _explain_one(own[0], genes, asked, told, cache)
    elif genes is not None:
        raise UsageError("--genes shows what a deletion does in one run", hint=f"gocell explain {own[0]} --genes ...")
    else:
        _explain_many(own, others, asked, told, cache)


@dataclass(frozen=True)
class _Told:
    """How an explanation is told: the first so many terms in words, all in JSON and in the table.

    phenotype: of several, whose labels and heads; "": the first.
    """

    top: int
    out: Path | None
    even_so: bool
    json: bool
    phenotype: str = ""

    def of(self, record: "RunRecord") -> "RunRecord":
        """Return a run's record as the phenotype sees it, and say which it is where there are several."""
        found = record.of_phenotype(self.phenotype)
        if len(record.kinds) > 1:
            others = ", ".join(f"--phenotype {kind}" for kind in record.kinds if kind != found.kind)
            note(f"terms are explained by {found.kind}; by another: {others}", "phenotype")
        return found

    @property
    def aloud(self) -> bool:
        """Whether words are printed."""
        return not self.json and not is_stdout(self.out)

    def write(self, terms: list[dict[str, Any]] | None) -> None:
        """Write the table, if one is asked for."""
        if self.out is None or terms is None:
            return
        import pyarrow as pa

        first = ("term", "name")  # each has them behind its scores
        rows = [{**{key: term[key] for key in first}, **term} for term in terms]
        write_table(pa.Table.from_pylist(rows), self.out)
        if not is_stdout(self.out):
            note(f"{self.out}: {len(rows):,} terms", "written")


def _members(runs: Sequence[Path]) -> list[Path]:
    """Return runs, in a series' place those that were trained to their end; raises UsageError where it has none."""
    from gocell_cli.series_record import finished_runs, is_series

    found: list[Path] = []
    for run in runs:
        trained = finished_runs(run) if is_series(run) else [run]
        if not trained:
            raise UsageError(f"{run}: no run of this series is finished", hint=f"gocell train --resume --out {run}")
        found += trained
    return found


def _sorted_out(runs: Sequence[Path], controls: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the runs over the ontology, and those over a control hierarchy; raises UsageError for what cannot be.

    Runs on controls alone are explained as they are.
    """
    from gocell_cli.training.runs.config import run_config
    from gocell_cli.training.runs.store import RunStore

    found: dict[bool, list[Path]] = {False: [], True: []}
    for run in dict.fromkeys(runs):
        RunStore(run).require()
        found[bool(run_config(run).control)].append(run)
    if not found[False] and not controls:
        return found[True], []
    if not found[False]:
        raise UsageError("no run is over the ontology: all are on control hierarchies", hint="gocell explain RUN")
    for control in controls:
        RunStore(control).require()
        if control in found[False]:
            raise UsageError(f"{control}: a run and its own control", hint="--control-runs of another run")
    return found[False], list(dict.fromkeys([*found[True], *controls]))


def _explain_one(run: Path, genes: str | None, asked: "Asked", told: _Told, cache: Path | None) -> None:
    from gocell_cli.commands.model.refusals import before_opening, named_genes, tell_compiling
    from gocell_cli.training.inference.requests import no_gene
    from gocell_cli.training.runs.store import RunStore

    record = told.of(RunStore(run).record())
    scored = genes is None or cache is not None or Path(record.cache).is_dir()
    before_opening(run, cache, samples=scored)
    _, named = named_genes(run, record, [] if genes is None else [genes])
    if named == [()]:
        raise no_gene()
    opened = opened_cache(run, cache) if scored else None
    from gocell_cli.training.runs.explaining import ScoreRequest, explain_run

    tell_compiling()

    request = ScoreRequest(*asked)
    found = explain_run(run, opened, genes, request, told.top, record.kind)
    terms, changes = _terms(found.hierarchy, found.ranking), _changes(found.hierarchy, found.effects)
    told.write(terms)
    if told.json:
        adds = {"dcell_adds": asdict(worth) if (worth := _adds(record)) is not None else None}
        ranking = _ranking_json(found.ranking, terms, request)
        interactions = _interactions_json(found.hierarchy, found.interactions)
        show_json({"run": str(run), **adds, **ranking, "effects": changes, "interactions": interactions})
    elif told.aloud:
        if terms is not None and found.ranking is not None and not _adds_nothing([record], even_so=told.even_so):
            _tell(found.ranking, terms, request.order, told.top)
        _tell_interactions(found.hierarchy, found.interactions, record.kind)
    if terms is None:
        note("no ranking: it reads the run's cache, which is not there; --cache DIR says where it is now", "warning")
    if changes is not None and told.aloud:
        show(
            _table(
                f"Effect of deleting {_deleted(found.hierarchy, genes)}", changes[: told.top], ("activation", "head")
            )
        )
    judged = found.ranking.judged if found.ranking is not None else None
    drawn = _Drawn(request.order, record.kind, judged, _deleted(found.hierarchy, genes))
    _draw(run / "figures", terms, changes, drawn)


def _adds(record: "RunRecord") -> "AddsRecord | None":
    """What a run's network is worth to its other voices; None where nothing was found out."""
    return record.results["test"].dcell_adds if record.results is not None else None


def _adds_nothing(records: "Sequence[RunRecord]", *, even_so: bool) -> bool:
    """Say so where no run's network adds anything to what was predicted without it: its terms explain nothing then."""
    for record in records:
        test = record.results["test"] if record.results is not None else None
        n = int(test.metrics["n"] or 0) if test is not None else 0
        told = beside_singles(NETWORK, test.metrics, test.baselines, n) if test is not None else ""
        if told:
            show(told)
    found = [adds for record in records if (adds := _adds(record)) is not None]
    if even_so or not found or len(found) < len(records) or any(adds.something for adds in found):
        return False
    for adds in found:
        show(adds.says())
    show("what its terms know, the other voices know as well: no ranking (--even-so prints it; --json always holds it)")
    return True


def _explain_many(
    runs: list[Path],
    controls: list[Path],
    asked: "Asked",
    told: _Told,
    cache: Path | None,
) -> None:
    from gocell_cli.commands.model.refusals import before_opening, tell_compiling

    whole = [before_opening(run, cache, samples=True) for run in (*runs, *controls)]
    kind = told.of(whole[0]).kind
    records = [record.of_phenotype(kind) for record in whole]
    from gocell_cli.training.runs.explaining import ScoreRequest, compare_runs

    tell_compiling()

    request = ScoreRequest(*asked)
    found = compare_runs(runs, controls, cache, request, told.top, kind)
    terms = [{**asdict(one), **_named(found.hierarchy, one.term)} for one in found.agreement.terms]
    told.write(terms)
    if told.json:
        show_json(
            {
                "runs": list(map(str, runs)),
                "controls": list(map(str, controls)),
                "order": request.order,
                "fitted_samples": found.fitted,
                "judged_samples": found.judged,
                "least_power": found.least_power,
                **{name: value for name, value in asdict(found.agreement).items() if name != "terms"},
                "terms": terms,
            }
        )
    elif told.aloud and not _adds_nothing(records[: len(runs)], even_so=told.even_so):
        _tell_many(found, terms[: min(told.top, found.agreement.ranked)], len(runs), len(controls), request.order)


def _tell_many(found: "Comparison", terms: list[dict[str, Any]], runs: int, controls: int, order: str) -> None:
    """The first terms over all runs, how far the runs agree, and what of it controls have as well."""
    shown = ("score", *(SPREAD if runs > 1 else ()), *(AGAINST if controls else ()))
    show(_table(f"Terms by mean {order} of {runs} runs", terms, shown))
    about = found.agreement
    if about.spearman is not None and about.top_overlap is not None:
        show(
            f"two runs' scores correlate by {about.spearman:.2f} (Spearman, mean over pairs);"
            f" {about.top_overlap:.0%} of the first {about.top} terms of one are among those of another"
        )
    if about.above_controls is not None:
        show(
            f"of the {len(terms)} terms shown {about.above_controls} score above all {controls} controls at their"
            f" place, {about.above_any} above every term of every control"
        )
        if 2 * about.above_controls <= len(terms):
            show("most of these scores are not above the controls': they say little of the ontology")


def _named(hierarchy: "Hierarchy", term: int) -> dict[str, str]:
    return {"term": hierarchy.term_ids[term], "name": hierarchy.term_names[term]}


def _placed(hierarchy: "Hierarchy", term: int) -> dict[str, Any]:
    """A term's id and name, and where in the ontology it stands."""
    place = {"namespace": hierarchy.term_namespaces[term], "level": int(hierarchy.level[term])}
    return {**_named(hierarchy, term), **place, "contained_genes": int(hierarchy.contained_genes[term])}


def _terms(hierarchy: "Hierarchy", ranking: "TermRanking | None") -> list[dict[str, Any]] | None:
    """Return the scores with the terms' ids and names, each with its rank (None: left out)."""
    if ranking is None:
        return None
    return [
        {
            **asdict(score),
            **_placed(hierarchy, score.term),
            "rank": rank if score.left_out is None else None,
            **_recovered(ranking.recovery, score.term),
        }
        for rank, score in enumerate(ranking.scores, 1)
    ]


def _recovered(recovery: "Recovery | None", term: int) -> dict[str, float | None]:
    """A term's shares; none at all where there is no teacher."""
    if recovery is None or recovery.reason is not None:
        return {}
    found = recovery.terms[term]
    return dict.fromkeys(TAUGHT) if found is None else asdict(found)


def _changes(hierarchy: "Hierarchy", found: "Sequence[TermEffect] | None") -> list[dict[str, Any]] | None:
    return None if found is None else [{**asdict(effect), **_placed(hierarchy, effect.term)} for effect in found]


def _ranking_json(
    ranking: "TermRanking | None", terms: list[dict[str, Any]] | None, request: "ScoreRequest"
) -> dict[str, Any]:
    if ranking is None or terms is None:
        return {"ranking": None, "teacher": None, "terms": None}
    about = {
        "order": request.order,
        "fitted_samples": ranking.fitted,
        "judged_samples": ranking.judged,
        "least_power": ranking.least_power,
        "least_activations": request.cutoffs.activations,
        "left_out": _left_out(terms),
    }
    return {"ranking": about, "teacher": _teacher_json(ranking.recovery), "terms": terms}


def _teacher_json(recovery: "Recovery | None") -> dict[str, Any] | None:
    if recovery is None:
        return None
    return {name: value for name, value in vars(recovery).items() if name != "terms"}


def _left_out(terms: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many terms are left out for each reason."""
    from gocell_cli.training.evaluation.terms.orders import REASONS

    counts = Counter(entry["left_out"] for entry in terms)
    return {reason: counts[reason] for reason in REASONS}


def _tell(ranking: "TermRanking", terms: list[dict[str, Any]], order: str, top: int) -> None:
    ranked = [entry for entry in terms if entry["left_out"] is None]
    show(_table(f"Terms by {order}: {len(ranked):,} of {len(terms):,}", ranked[:top], SHOWN))
    show(f"fitted on {ranking.fitted:,} validation samples, judged on {ranking.judged:,} test samples")
    worth = [entry["effective_samples"] for entry in ranked]
    if worth and min(worth) < ranking.judged:
        show(f"samples share genes: P-values take these for {min(worth):,.0f} to {max(worth):,.0f} independent ones")
    for reason, count in _left_out(terms).items():
        least = f" ({ranking.least_power:.3f})" if reason.startswith("power") else ""
        if count:
            show(f"left out: {count:,} terms, {reason}{least}")
    if ranking.recovery is not None:
        _tell_recovery(ranking.recovery, ranked[:top])


def _tell_recovery(recovery: "Recovery", first: list[dict[str, Any]]) -> None:
    """How much of the teacher's activity the first terms recover, and all of them in the median."""
    if recovery.reason is not None:
        show(f"not known how much of the teacher is recovered: {recovery.reason}")
        return
    show(_table("Share of the teacher's activity recovered", first, TAUGHT))
    if recovery.recovered is None:
        show("no term's activity differs in the teacher, among these samples")
        return
    show(
        f"in the median of {recovery.compared:,} terms {recovery.recovered:.2f} of the teacher's activity is recovered;"
        f" {recovery.from_genes:.2f} from indicators of its genes, {recovery.from_untrained:.2f} without training"
    )
    show(f"more than from the genes in {recovery.above_genes:,}, than untrained in {recovery.above_untrained:,}")


def _interactions_json(hierarchy: "Hierarchy", found: "TermInteractions | str") -> dict[str, Any] | None:
    """The first pairs of terms and all their terms, with ids and names; None where nothing says, as stdout does."""
    if isinstance(found, str):
        return None
    about, tested = found.terms, found.tested
    columns = (about.term, about.partner, about.pairs)
    terms = [
        {**_named(hierarchy, term), "partner": _named(hierarchy, partner), "term_pairs": pairs}
        for term, partner, pairs in zip(*(values.tolist() for values in columns), strict=True)
    ]
    left_out = {
        "nested": found.nested,
        "too_few_training_pairs": tested.too_few,
        "terms_of_the_same_genes": tested.same_genes,
        "terms_of_one_screened_gene": tested.few_genes,
        "against_the_wide_part": tested.against,
    }
    return {
        "training_pairs": found.training_pairs,
        "tested": tested.tested,
        "clear": len(tested.clear),
        "farther_than_chance": tested.farther if len(tested.clear) else None,
        "least_pairs": found.least_pairs,
        "left_out": left_out,
        "term_pairs": _term_pairs(hierarchy, found),
        "terms": terms,
    }


def _term_pairs(hierarchy: "Hierarchy", found: "TermInteractions") -> list[dict[str, Any]]:
    """The first pairs of terms, each with both terms' ids and names."""
    columns = zip(*(values.tolist() for values in vars(found.pairs).values()), strict=True)
    return [
        {
            "first": _named(hierarchy, first),
            "second": _named(hierarchy, second),
            "relation": relation,
            "effect": mean,
            "standard_error": error,
            "interval": [low, high],
            "sign": "positive" if mean > 0 else "negative",
            "wide_part": share,
            "training_pairs": held,
        }
        for relation, (first, second, held, mean, error, low, high, share) in zip(found.relations, columns, strict=True)
    ]


def _tell_interactions(hierarchy: "Hierarchy", found: "TermInteractions | str", kind: str) -> None:
    """The pairs of terms that stand clear; in words where none does, or nothing says."""
    if isinstance(found, str):
        show(f"not known which terms interact: {found}")
        return
    tested = found.tested
    if not len(tested.clear):
        show(
            f"no pair of terms stands clear of single effects: {tested.tested:,} were tested, and no ranking is printed"
        )
    else:
        _show_pairs(_term_pairs(hierarchy, found))
        show(f"effect: mean over the training pairs, a gene in either term, of what single effects leave of {kind}")
        show("95 %: by how its genes differ; first is the pair whose interval's nearer end is farthest from zero")
        show("wide part: what of it the run's wide part gives these two terms")
        clear = f"{len(tested.clear):,} that stand clear, of {tested.tested:,} tested"
        show(
            f"the first {len(found.pairs):,} of {clear}: that end is {tested.farther:.3g} or more from zero,"
            " where one in 20 would be with genes drawn at random"
        )
    for count, why in (
        (found.nested, "pairs of terms around those of a pair above, or of nearly the same screened genes"),
        (tested.too_few, f"pairs of terms, fewer than {found.least_pairs} training pairs"),
        (tested.against, "pairs of terms, of the other sign by the wide part"),
        (tested.same_genes, "terms, of the same screened genes as another"),
        (tested.few_genes, "terms, of one screened gene or none"),
    ):
        if count:
            show(f"left out: {count:,} {why}")


def _show_pairs(pairs: list[dict[str, Any]]) -> None:
    rows = [
        [
            *(word for side in ("first", "second") for word in entry[side].values()),
            *(entry["relation"], f"{entry['effect']:+.3g}", "{:+.3g} to {:+.3g}".format(*entry["interval"])),
            *(f"{entry['wide_part']:+.3g}", f"{entry['training_pairs']:,}"),
        ]
        for entry in pairs
    ]
    heads = ["term", "name", "with", "name", "genes", "effect", "95 %", "wide part", "pairs"]
    show(make_table("Terms that interact", heads, rows, right=(5, 6, 7, 8), whole=(0, 2, 6)))


def _table(title: str, entries: list[dict[str, Any]], keys: tuple[str, ...]) -> Any:
    rows = [[e["term"], e["name"], *(_value(key, e[key]) for key in keys)] for e in entries]
    heads = [key.replace("_", " ") for key in keys]
    return make_table(title, ["term", "name", *heads], rows, right=tuple(range(2, 2 + len(keys))), whole=(0,))


def _value(key: str, value: float | int | None) -> str:
    if value is None:
        return "-"
    if key in COUNTS:
        return f"{value:,}"
    return f"{value:.1e}" if key in ("p_value", "q_value") else f"{value:.4f}"


@dataclass(frozen=True)
class _Drawn:
    """What the figures of an explanation say besides the terms."""

    order: str
    phenotype: str
    judged: int | None
    deleted: str

    def ranking(self, terms: list[dict[str, Any]]) -> "Figure":
        """Draw the terms that lead."""
        from gocell_cli.figures.term_figures import term_bars

        ranked = [
            {**term, "about": f"{_place(term)}, {term['screen_genes']:,} of its genes deleted in the screen"}
            for term in terms
            if term["left_out"] is None
        ]
        n = "" if self.judged is None else f", {self.judged:,} test samples"
        title = f"Terms whose neurons tell {self.phenotype}\n{len(ranked):,} of {len(terms):,} terms ranked{n}"
        return term_bars(ranked, self.order, title, AXES[self.order])

    def effect(self, changes: list[dict[str, Any]]) -> "Figure":
        """Draw the terms that a deletion changes most."""
        from gocell_cli.figures.term_figures import term_bars

        changed = [
            {**term, "about": f"{_place(term)}, {term['contained_genes']:,} contained genes"} for term in changes
        ]
        title = (
            f"Deletion of {self.deleted}\n{len(changed):,} terms change; the network's phenotype is {self.phenotype}"
        )
        return term_bars(changed, "activation", title, "length of the change of the term's neurons, from the wild type")


def _deleted(hierarchy: "Hierarchy", genes: str | None) -> str:
    """The genes of a genotype by their names: `YDR363W (ESC2), YNL273W (TOF1)`."""
    lookup = hierarchy.lookup
    return ", ".join(map(lookup.label, lookup.genotype(lookup.names_in(genes or ""))))


def _place(term: dict[str, Any]) -> str:
    return f"{term['namespace'].replace('_', ' ')}, level {term['level']}"


def _draw(
    folder: Path, terms: list[dict[str, Any]] | None, changes: list[dict[str, Any]] | None, drawn: _Drawn
) -> None:
    """Draw what was printed, beside the run; where nothing may be written there, say that it was not drawn."""
    from gocell_cli.figures.canvas import save_all

    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if terms is not None:
            save_all(drawn.ranking(terms), folder / "terms")
        if changes is not None:
            save_all(drawn.effect(changes), folder / "effect")
    except (CannotWrite, Unfinished) as error:  # a run of somebody else's, a full disk: the result is told already
        note(f"no figures: {error.message} ({error.why})", "warning")
        return
    note(f"figures in {folder}, each as .png, .svg and .pdf", "explain")
