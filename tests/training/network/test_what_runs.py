"""What `auto` takes by device, batch and precision, and which backend a device has."""

import warnings
from collections.abc import Iterator

import pytest
import torch

from gocell_cli.training.network import dcell
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta import form
from gocell_cli.training.network.delta.heads import VariantHeads
from tests.training import networks as nets

SMALL = DCellConfig(min_width=4, form="auto")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    form.has_triton.cache_clear()
    yield
    form.has_triton.cache_clear()


def batch_of(samples: int) -> nets.Genotypes:
    return [(i % 12,) for i in range(samples)]


def runs_delta(model: DCell, samples: int) -> bool:
    return isinstance(model.heads(nets.deletions(batch_of(samples), 12)), VariantHeads)


def test_on_a_cpu_by_the_number_of_samples_and_not_in_bf16() -> None:
    model = DCell(nets.random_network(1), SMALL)
    pays = dcell.DELTA_PAYS["cpu"]
    assert [runs_delta(model, n) for n in (pays - 1, pays)] == [False, True]
    with torch.autocast("cpu", torch.bfloat16):
        assert not runs_delta(model, pays)


def test_on_cuda_the_kernels_and_without_triton_the_operations_with_one_note(monkeypatch: pytest.MonkeyPatch) -> None:
    delta = DCell(nets.random_network(1), SMALL).delta
    assert delta is not None
    cuda = torch.device("cuda")
    monkeypatch.setattr(form, "find_spec", lambda _: object())
    with warnings.catch_warnings(action="error"):
        assert not delta.uses_tensors(cuda)
    form.has_triton.cache_clear()
    monkeypatch.setattr(form, "find_spec", lambda _: None)
    with pytest.warns(RuntimeWarning, match="Triton is not installed"):
        assert delta.uses_tensors(cuda)
    with warnings.catch_warnings(action="error"):
        assert delta.uses_tensors(cuda)


def test_a_device_without_kernels_of_ours_runs_in_operations_where_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    model = DCell(nets.random_network(1), SMALL)
    monkeypatch.setattr(dcell, "TENSORS_PAY", 5)
    model.to("meta")
    assert model.delta is not None
    assert model.delta.uses_tensors(model.bias.device)
    found = [model._rows_suffice(nets.deletions(batch_of(n), 12)) for n in (4, 5)]
    assert found == [False, True]
