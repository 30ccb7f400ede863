"""Looking inside: what a deletion does to each term, seen in its neurons and its head."""

from dataclasses import dataclass

from gocell_cli.errors import Diverged
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predict import Genotype, Predictor, deletions_of
from gocell_cli.training.network.dcell import Batch, DCell
from gocell_cli.training.network.term_weights import TermWeights

with train_extra():
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class TermEffect:
    """What deletions do to a term: length of the change of its activations, and change of its head."""

    term: int
    activation: float
    head: float


@torch.no_grad()
def activations(model: DCell, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return heads [samples, terms] (of several phenotypes, theirs last) and h [neurons, samples], in evaluation."""
    was_training = model.training
    model.eval()
    try:
        heads, h = model.levels(batch)
        return heads, h[: model.stack.neurons]
    finally:
        model.train(was_training)


def neurons_of(model: DCell, hierarchy: Hierarchy) -> list[slice]:
    """Return where each term's neurons stand in h, by the hierarchy's terms."""
    weights = TermWeights(model, hierarchy)
    return [weights.neurons(term) for term in range(len(hierarchy.term_ids))]


def effects(predictor: Predictor, genotype: Genotype) -> list[TermEffect]:
    """Return every touched term's change against the wild type, the largest change of activations first."""
    model = predictor.model
    # sample 0 is the wild type, sample 1 the strain
    heads, h = activations(model, deletions_of([(), genotype], model.index.genes, model.bias.device))
    heads = predictor.own(heads)
    if not bool(torch.isfinite(heads).all()):
        raise Diverged("this network's heads are not finite", hint="train it again, with a smaller --lr")
    change = (h[:, 1] - h[:, 0]).double()
    touched = ~model.index.untouched(torch.tensor(genotype, dtype=torch.int64, device=h.device))
    found = []
    for term, neurons in enumerate(neurons_of(model, predictor.hierarchy)):
        if touched[model.index["term_position"][term]]:
            found.append(TermEffect(term, float(change[neurons].norm()), float(heads[1, term] - heads[0, term])))
    return sorted(found, key=lambda effect: -effect.activation)
