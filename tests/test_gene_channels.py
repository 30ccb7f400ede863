"""Channels of genes: how --channel writes them, what inputs are called, and what cannot be."""

import numpy as np
import pytest

from gocell_cli.domain.genes import make_gene_table
from gocell_cli.domain.input_genes import input_genes
from gocell_cli.errors import UsageError
from gocell_cli.gene_channels import Channel, Inputs, parse_channel, parse_channels

GENES = make_gene_table([("YAL001C", "TFC3", ("TSV115",)), ("YAL002W", "VPS8")])


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("mutation", Channel("mutation", 0.0, (1.0,))),
        ("deletion", Channel("deletion", 1.0, (0.0,))),
        ("dosage=1:2,0,0.5", Channel("dosage", 1.0, (0.0, 0.5, 2.0))),
        ("z-score=0:-1.5,1.5", Channel("z-score", 0.0, (-1.5, 1.5))),
    ],
)
def test_channels_as_they_are_written(text: str, channel: Channel) -> None:
    assert parse_channel(text) == channel
    assert parse_channel(channel.text) == channel


@pytest.mark.parametrize(
    "text",
    ["", "=1:0", "7up", "a b", "dosage=1", "dosage=1:", "dosage=one:0", "d=1:0,0", "d=1:1", "d=1:nan"],
)
def test_what_is_no_channel_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_channel(text)


def test_a_channel_is_named_once() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_channels(["mutation", "mutation=0:2"])


def test_inputs_answer_to_all_names_of_their_gene() -> None:
    found = input_genes(GENES, parse_channels(["dosage=1:0,0.5", "mutation"]))
    names = found.table.systematic
    assert names == (
        "YAL001C:dosage=0", "YAL001C:dosage=0.5", "YAL001C:mutation",
        "YAL002W:dosage=0", "YAL002W:dosage=0.5", "YAL002W:mutation",
    )  # fmt: skip
    told = {name: names[found.table.lookup.gene(name)] for name in ("TFC3:mutation", "TSV115:dosage=0.5", "VPS8")}
    assert told == {
        "TFC3:mutation": "YAL001C:mutation",
        "TSV115:dosage=0.5": "YAL001C:dosage=0.5",
        "VPS8": "YAL002W:dosage=0",  # a gene alone is its loss
    }
    assert found.inputs.column.tolist() == [0, 0, 2, 3, 3, 5]
    assert found.inputs.step.tolist() == [-1.0, -0.5, 1.0, -1.0, -0.5, 1.0]
    assert found.inputs.per_gene == 3
    assert found.of_gene.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_without_a_loss_a_gene_alone_is_none() -> None:
    found = input_genes(GENES, parse_channels(["mutation"]))
    assert found.table.lookup.find("VPS8").genes == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"state": np.array([np.nan, 1.0])}, "not finite"),
        ({"state": np.array([0.0, 1.0])}, "the wild type's state"),
        ({"base": np.array([0.0, 3.0])}, "two states in the wild type"),
        ({"gene": ("A", "A")}, "twice"),
    ],
)
def test_faults_of_inputs_are_found(changed: dict[str, object], said: str) -> None:
    whole = {"gene": ("A", "B"), "channel": ("m", "m"), "base": np.zeros(2), "state": np.ones(2)}
    assert Inputs(**whole).faults() == []  # type: ignore[arg-type]
    assert any(said in fault for fault in Inputs(**{**whole, **changed}).faults())  # type: ignore[arg-type]
