"""Population statistics: the whole split as if it were one training batch."""

from dataclasses import replace

import pytest
import torch

from gocell_cli.errors import UsageError
from gocell_cli.training.network import population
from gocell_cli.training.network.dcell import DCellConfig
from gocell_cli.training.network.population import set_population
from tests.training import networks as nets

SMALL = DCellConfig(min_width=4, init_range=0.5)


@pytest.mark.parametrize("memory", [population.MEMORY_BYTES, 0])
@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
@pytest.mark.parametrize("level_by", ["stratum", "height"])
def test_evaluation_equals_training_mode_on_the_whole_split(
    norm_order: str, level_by: str, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two deleted genes only, untouched terms are there too; batches of 1 sample are allowed."""
    monkeypatch.setattr(population, "MEMORY_BYTES", memory)
    hierarchy = nets.by_level(nets.random_network(4), level_by)
    model, _ = nets.pair(hierarchy, replace(SMALL, norm_order=norm_order))
    genotypes = [(0,), (1,), (0, 1), (), (1,), (0,), ()]
    with torch.no_grad():
        wanted = model.train()(nets.deletions(genotypes, 12))
    parts = [genotypes[:1], genotypes[1:4], genotypes[4:]]
    set_population(model, lambda: [nets.deletions(part, 12) for part in parts])
    assert model.training
    found = model.eval()(nets.deletions(genotypes, 12))
    assert torch.allclose(found, wanted, rtol=0, atol=1e-10)
    untouched = ~nets.contained(hierarchy)[:, [0, 1]].any(1)
    assert untouched.any()
    variances = model.get_buffer("running_var")[model.index["real"]]
    assert int(variances.isinf().sum()) == int(model.stack.width[untouched].sum())


def test_gene_values_too() -> None:
    model, _ = nets.pair(nets.random_network(4), SMALL)
    x = torch.randn(9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model.train()(x)
    set_population(model, lambda: [x[:4], x[4:]])
    assert torch.allclose(model.eval()(x), wanted, rtol=0, atol=1e-10)


def test_a_split_without_samples_is_an_error() -> None:
    model, _ = nets.pair(nets.random_network(4), SMALL)
    with pytest.raises(UsageError, match="no sample"):
        set_population(model, list)
