"""Predictions for any genotype, and from fitness the interactions that SGA screens report.

epsilon_ij = f_ij - f_i f_j                                            (Mani et al. 2008, 10.1073/pnas.0712255105)
tau_ijk = f_ijk - f_ij f_k - epsilon_ik f_j - epsilon_jk f_i           (Kuzmin et al. 2018, 10.1126/science.aao1729)
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import DCell

with train_extra():
    import torch

Genotype = tuple[int, ...]


def deletions_of(genotypes: Sequence[Genotype], genes: int, device: torch.device) -> Deletions:
    """Return genotypes as a batch; () is the wild type."""
    ptr = torch.tensor([0, *np.cumsum([len(g) for g in genotypes]).tolist()], device=device)
    flat = torch.tensor([gene for genotype in genotypes for gene in genotype], dtype=torch.int64, device=device)
    return Deletions.of(ptr, flat, genes)


@torch.no_grad()
def predict_genotypes(model: DCell, scale: LabelScale, genotypes: Sequence[Genotype]) -> Float64[np.ndarray, " n"]:
    """Return the phenotype of each genotype on its original scale; the model must be in evaluation mode."""
    heads = model(deletions_of(genotypes, model.index.genes, model.bias.device))
    return scale.backward(heads[:, model.root].double().cpu().numpy())


def epsilon(fitness: dict[Genotype, float], i: int, j: int) -> float:
    """Digenic interaction, in units of fitness (wild type 1)."""
    return fitness[_key(i, j)] - fitness[(i,)] * fitness[(j,)]


def tau(fitness: dict[Genotype, float], i: int, j: int, k: int) -> float:
    """Trigenic interaction: what is left of the triple mutant after its digenic parts."""
    return (
        fitness[_key(i, j, k)]
        - fitness[_key(i, j)] * fitness[(k,)]
        - epsilon(fitness, i, k) * fitness[(j,)]
        - epsilon(fitness, j, k) * fitness[(i,)]
    )


def _key(*genes: int) -> Genotype:
    return tuple(sorted(genes))


def interactions(model: DCell, scale: LabelScale, genotype: Genotype, names: Sequence[str]) -> dict[str, Any]:
    """Return fitness of the genotype and all its parts by their genes' names, epsilon of each pair, tau of a triple."""
    parts = [part for size in range(len(genotype) + 1) for part in combinations(genotype, size)]
    values = dict(zip(parts, predict_genotypes(model, scale, parts).tolist(), strict=True))
    label = {part: "+".join(names[g] for g in part) or "wild type" for part in parts}
    found: dict[str, Any] = {"fitness": {label[part]: value for part, value in values.items()}}
    found["epsilon"] = {label[(i, j)]: epsilon(values, i, j) for i, j in combinations(genotype, 2)}
    if len(genotype) == 3:
        found["tau"] = {label[genotype]: tau(values, *genotype)}
    return found
