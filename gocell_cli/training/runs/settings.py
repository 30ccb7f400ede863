"""Every setting of a run in a line: what it does, what it may be, since when. The help and the docs are made of it."""

from dataclasses import dataclass, fields
from typing import Any

from gocell_cli.training.data.splits.kinds import RULES, SPLITS
from gocell_cli.training.network import config as network
from gocell_cli.training.runs.config import ABOVE_ZERO, CHOICES, LEAST, RunConfig
from gocell_cli.typed_file import toml_value

ABOUT = {
    "epochs": "most passes over the training samples",
    "batch_size": "samples in a batch, over which BatchNorm is taken",
    "accumulate": "batches whose gradients, weighted by samples, make one step of the weights",
    "lr": "AdamW's learning rate",
    "min_lr": "where cosine ends, and plateau stops halving",
    "weight_decay": "AdamW's decoupled decay of all weights",
    "own_decay": "decoupled decay of the genes' own columns alone; of deviations it is towards their term's direction",
    "l2": "weight of the squared weights in the loss; not together with weight_decay",
    "clip": "largest norm of a step's gradient; 0: none is clipped",
    "scheduler": "how the rate falls: by half where validation gets no better (plateau), along a cosine, or not at all",
    "patience": "epochs without a better validation loss after which training ends; 0: never",
    "split": "which samples train, validate and test",
    "fractions": "shares of train, validation and test",
    "split_seed": "by which the split is drawn; -1: by seed",
    "validation_seed": "by which validation is drawn anew beside the same test part; -1: the split's own",
    "folds": "test parts that share all samples out; 0: one test part, by fractions",
    "fold": "which of the folds is the test part, from 0",
    "subset": "training samples that are used; 0: all",
    "split_column": "of a split's file the column that names the parts",
    "split_rule": "how splits are drawn; 1 is that of runs of before it was recorded",
    "seed": "of the first weights, the order and the split",
    "device": "where it is trained; auto takes a GPU where one is driven",
    "precision": "of a training step; tf32 and bf16-mixed take products of fewer bits, on a GPU; figures stay float32",
    "loss": "auto is bce for viability and mse else",
    "auxiliary": "the other terms' losses: their sum, or their mean",
    "alpha": "weight of the other terms' losses",
    "bn_eval": "BatchNorm's statistics in evaluation: those of all training samples, or running means",
    "population_samples": "training samples behind these between epochs; the final figures take all",
    "norm_order": "tanh before BatchNorm, as Ma et al. 2018 have it, or after",
    "gene_weights": "a term's weights of its genes: own columns, a shared direction, deviations from one, or it alone",
    "term_dropout": "probability that a step leaves a term out of its parents' input, for all samples",
    "init_range": "first weights are drawn from U(-r, r)",
    "min_width": "least neurons of a term; 0: 6, and 20 beyond a million training samples",
    "ratio": "neurons of a term for each of its genes",
    "top_width": "least neurons of terms near the root; 0: as all others",
    "top_strata": "how many strata are near the root, the root's the first",
    "products": "products of children's deviations in each term",
    "learnt_vectors": "numbers of each gene that are learnt and heard by all its terms",
    "form": "all terms of all samples (dense), what a deletion touches (delta), or the faster of them for each batch",
    "wandb": "a Weights & Biases project to log to; empty: none",
    "baselines": "what is fitted beside the network; default: what costs less than training",
    "tails": "scores that count as interactions; auto as published for s_score, tau and epsilon, else none",
    "wide": "the wide part beside the network; none leaves it out",
    "neighbours": "the neighbours beside the network; none leaves them out",
    "encoder": "the network heard as encoder as well; auto lets it be",
    "gene_vectors": "files of numbers of genes, which the run keeps as it read them",
    "control": "the network lies over a control of the hierarchy; empty: over the hierarchy itself",
    "control_seed": "by which the control is drawn",
    "recipe": "settings by name, under all others",
    "warm_start": "a run whose weights to begin with, term by term (--from); empty: the seed's",
    "overfit": "so many samples on which all is trained and judged, a check of a pipeline; 0: none",
    "phenotype": "which of a cache's several phenotypes; A,B: one network of both; empty: its first",
    "phenotype_weights": "of each of several in the loss, whatever their sum; empty: all alike",
}
SINCE = dict.fromkeys(ABOUT, "0.1.0")
"""The version that has a setting first."""
_ALLOWED = {
    "split": f"{', '.join(SPLITS)}, a file's path, or a run's",
    "fractions": "three shares that add up to 1",
    "folds": "0, or 2 to 65536",
    "fold": "0 to folds - 1",
    "split_rule": ", ".join(map(str, RULES)),
    "term_dropout": "at least 0, below 1",
    "baselines": "default, all, none, or NAME,NAME",
    "tails": "auto, none, or LOW,HIGH",
    "gene_vectors": "paths",
    "warm_start": "a path",
    "wandb": "a name",
    "split_column": "a name",
    "phenotype": "a name, or NAME,NAME",
    "phenotype_weights": "W,W above 0",
}
"""What may be said where neither a list of words nor a least number says all of it."""
_TYPES = {int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True)
class Setting:
    """A setting as a reader sees it."""

    name: str
    type: str
    default: Any
    allowed: str
    about: str
    since: str


def settings_reference() -> list[Setting]:
    """Return every setting, in the order of RunConfig."""
    return [
        Setting(f.name, _type(f.default), f.default, _allowed(f.name), ABOUT[f.name], SINCE[f.name])
        for f in fields(RunConfig)
    ]


def _type(default: Any) -> str:
    if isinstance(default, tuple):
        return "list of numbers" if default else "list of text"
    return _TYPES[type(default)]


def _allowed(name: str) -> str:
    words = {**network.CHOICES, **CHOICES}.get(name)
    if name in _ALLOWED:
        return _ALLOWED[name]
    if words is not None:
        return ", ".join(word or "nothing" for word in words)
    return f"at least {LEAST[name]}" if name in LEAST else "above 0" if name in ABOVE_ZERO else ""


def shown(default: Any) -> str:
    """Return a default as TOML has it, but texts without their quotes."""
    return (default or "nothing") if isinstance(default, str) else toml_value(default)
