"""Both forms against the formula of one term, run term by term: children first, the paper's notation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.dcell import DCell, DCellConfig, term_reference
from gocell_cli.training.network.term_weights import TermWeights
from tests.reference.dcell import gene_table
from tests.training import networks as nets

SMALL = DCellConfig(min_width=4, init_range=0.5)
GENES = 12


def heads(model: DCell, hierarchy: Hierarchy, genotypes: nets.Genotypes, *, training: bool) -> torch.Tensor:
    """Heads [samples, terms], one term after another."""
    state, x = TermWeights(model, hierarchy).split(model.state_dict()), gene_table(genotypes, GENES)
    h, y = dict[int, torch.Tensor](), dict[int, torch.Tensor]()
    for term in np.argsort(-hierarchy.stratum, kind="stable").tolist():
        children = np.sort(hierarchy.edge_child[hierarchy.edge_parent == term]).tolist()
        genes = hierarchy.row_gene[hierarchy.row_term == term].tolist()
        prefix = f"{hierarchy.term_ids[term]}."
        own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        inputs = torch.cat([*(h[c] for c in children), x[:, genes]], 1)
        h[term], y[term] = term_reference(inputs, own, model.config.norm_order, training=training)
    return torch.stack([y[t] for t in range(len(y))], 1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
@pytest.mark.parametrize("form", ["dense", "delta"])
def test_both_forms_are_the_formula_of_one_term(form: str, norm_order: str, training: bool) -> None:
    hierarchy, genotypes = nets.random_network(3), nets.random_genotypes(3, 20, GENES)
    model, _ = nets.pair(hierarchy, replace(SMALL, form=form, norm_order=norm_order))
    model.train(training)
    wanted = heads(model, hierarchy, genotypes, training=training)
    with torch.no_grad():
        found = model(nets.deletions(genotypes, GENES))
    assert torch.allclose(found, wanted, rtol=0, atol=1e-10)
