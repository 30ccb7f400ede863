"""What a network makes of each gene, against one deletion at a time, own deviations of genes taken as 0."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.training.inference import encoding
from gocell_cli.training.inference.encoding import encoded_genes
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from tests.training.networks import deletions, random_genotypes, random_network


@given(st.integers(0, 1000), st.sampled_from(["delta", "dense"]), st.sampled_from(["deviation", "direction", "own"]))
def test_each_gene_alone_differs_from_the_wild_type_as_its_heads_say(seed: int, form: str, columns: str) -> None:
    hierarchy = random_network(seed)
    genes = len(hierarchy.gene_names)
    torch.manual_seed(seed)
    config = DCellConfig(min_width=2, init_range=0.5, gene_weights=columns, form=form)
    model = DCell(hierarchy, config).double()
    with torch.no_grad():
        for parameter in (model.gene_weight, model.gene_direction):
            if parameter is not None and parameter.requires_grad:
                parameter.uniform_(-1, 1)
    model.train()
    model(deletions(random_genotypes(seed, 20, genes), genes))  # running statistics of some samples
    own = model.gene_weight.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "GENES", 3)
        found = encoded_genes(model, hierarchy)
    assert model.training, "its mode is as it was"
    assert torch.equal(model.gene_weight, own), "and so are its columns"
    if columns != "own":
        with torch.no_grad():
            model.gene_weight.zero_()
    assert found.shape == (genes, len(hierarchy.term_ids))
    model.eval()
    with torch.no_grad():
        wild = model(deletions([()], genes))[0]
        one = torch.stack([model(deletions([(g,)], genes))[0] for g in range(genes)])
    assert found.toarray() == pytest.approx((one - wild).numpy(), abs=1e-9)
    contained = np.zeros(found.shape, dtype=bool)
    closure = hierarchy.closure
    contained[np.repeat(np.arange(genes), np.diff(closure.ptr)), closure.term] = True
    assert not found.toarray()[~contained].any()
