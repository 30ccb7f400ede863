"""The panels of `--help`: which of a long command's options stand together, the everyday ones first.

A command of few options has none: four panels for four options say less than one.
"""

from collections.abc import Sequence
from typing import Any

LONG = 12
"""A command of more options than this has panels."""
OTHERS = "Options"
"""What Typer calls the panel of all that has none."""
TABLES = "Your own table"
PANELS = {
    "Data": (
        "dataset", "raw", "sample", "phenotype", "order", "temperature", "alleles", "max_p", "duplicates",
        "unannotated", "cache", "input", "gene_column", "sheet",
    ),
    "Split": ("split", "split_column", "split_seed", "folds", "fold", "subset"),
    "Training": (
        "recipe", "epochs", "batch_size", "lr", "seed", "device", "precision", "gene_vectors", "warm_start", "overfit",
        "baselines", "settings",
    ),
    "Search": ("search", "trials", "prune"),
    "Series": ("seeds", "controls", "control_kinds", "jobs"),
    "Levels": ("by", "scope", "max_findings"),
    "Ontology": (
        "obo", "gaf", "release", "gene_id", "taxon", "gene_table", "hierarchy", "preset", "relations", "namespace",
    ),
    "Filters": (
        "exclude_evidence", "include_evidence", "until", "genes", "min_genes", "more_than_child", "redundant",
        "width_by",
    ),
    TABLES: (
        "phenotype_column", "allele_column", "statistic_column", "statistic_kind", "query_column", "group_column",
        "delimiter", "decimal", "encoding", "notation", "blank_gene", "fitness_column", "channel",
    ),
    "Simulated data": ("samples", "deletions", "epistasis", "noise", "panel"),
    "Cache": ("level_by", "control", "control_seed", "backend", "shard_size"),
    "Running": (
        "root", "offline", "resume", "dry_run", "part", "workers", "executor", "scheduler", "config", "fingerprint",
        "state",
    ),
    "Output": ("out", "crate", "overwrite", "json", "quiet", "verbose", "help"),
}  # fmt: skip
"""Panel -> names of options, in the order of a command's help; what stands in none comes before all of them."""
OF_A_COMMAND = {
    "build_cache": {"gene_column": TABLES, "sheet": TABLES, "seed": "Simulated data"},
    "train": {"config": "Training", "list_settings": "Training"},
    "sweep": {"config": "Training", "seeds": "Search"},
    "predict": {"genes": "Data"},
    "explain": {"genes": OTHERS, "samples": OTHERS},
}
"""Where one command's option of that name is another thing, or belongs elsewhere."""


def panel_of(command: str, option: str) -> str:
    """Return the panel of an option of a command (its function's name); OTHERS where it has none."""
    own = OF_A_COMMAND.get(command, {})
    return own.get(option) or next((panel for panel, names in PANELS.items() if option in names), OTHERS)


def in_panels(command: str, params: Sequence[Any]) -> list[Any]:
    """Return a command's parameters in the order of its help, the options of a long one each with its panel.

    Arguments come first. `params` are Typer's own.
    """
    options = [param for param in params if param.param_type_name == "option"]
    if len(options) <= LONG:
        return [*params]
    for param in options:
        param.rich_help_panel = panel_of(command, param.name)
    order = (OTHERS, *PANELS)
    options.sort(key=lambda param: order.index(param.rich_help_panel))  # stable: within a panel as they were
    return [param for param in params if param.param_type_name != "option"] + options
