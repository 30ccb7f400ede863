"""Kinds of alleles: of SGA strains by their ids, of a lab's table by what its cells say."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.domain.alleles import DELETION, KINDS, SUPPRESSOR, UNKNOWN, allele_kind, strain_kind
from gocell_cli.sources.screens import costanzo
from gocell_cli.sources.screens.workbook import read_sheet


@pytest.mark.parametrize(
    ("strain", "allele", "kind"),
    [
        ("YAL001C_damp12", "tfc3-damp", "damp"),
        ("YAL001C_tsa12", "tfc3-g349e", "ts"),
        ("YAL001C_tsq12", "tfc3-g349e", "ts"),
        ("YAL001C_dma12", "x", "deletion"),
        ("YAL001C_sn12", "x", "deletion"),
        ("YMR199W+YDL227C_tm1886", "cln1Δ+hoΔ", "deletion"),
        ("YAL041W+YDL227C_tm508", "cdc24-11+hoΔ", "ts"),
        ("YAL001C_q1", "", "unknown"),
        ("YBR126C_dma298", "tps1-supp1", "suppressor"),
        ("YBR126C_S26", "tps1-supp2", "suppressor"),
        ("YCL043C_tsq3063", "pdi1-5001-supp1", "suppressor"),
        ("YBR126C-supp1_dma298", "tps1", "suppressor"),
        ("YBR126C+YDL227C_tm1", "tps1Δ-supp1+hoΔ", "suppressor"),
        # a gene that is called like a collection is no tag: the tag stands behind the underscore
        ("AT1TSA1", "", "unknown"),
        ("YAL001C_supply1", "", "unknown"),
    ],
)
def test_kind_of_a_strain(strain: str, allele: str, kind: str) -> None:
    assert strain_kind(strain, allele) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, "deletion") for text in ("DELETION", "deletion", "del", "Δ", "∆", "delta", "null", "KO", "knock-out")),
        *((text, "deletion") for text in ("tps1", "TPS1", "YBR126C", "tps1Δ", "tps1∆0", "TPS1-delta", "Δtps1")),
        *((text, "deletion") for text in ("tps1::kanMX4", "tps1Δ::natR", "tps1 deletion", "tps1-null")),
        *((text, "damp") for text in ("DAMP", "DAmP", "tps1-damp", "tps1_damp", "Decreased Abundance by mRNA")),
        *((text, "ts") for text in ("ts", "tps1-ts", "tps1-11", "POL30-8", "cdc28ts", "temperature sensitive")),
        *((text, "suppressor") for text in ("tps1-supp1", "tps1Δ-supp2a", "suppressor")),
        *((text, "unknown") for text in ("", "  ", "wt", "delta yjl169w", "delta tps1", "yjl169wΔ", "g349e")),
        *((text, "unknown") for text in ("tps1-Δ45N", "no deletion", "N-terminal deletion", "-", "+", "nan")),
        # several: the one that is no deletion
        ("tps1Δ+ade5,7Δ", "deletion"),
        ("ADE5,7", "deletion"),
        ("tps1Δ+cdc24-11", "ts"),
        ("tps1Δ;DAMP", "damp"),
        ("tps1Δ+what", "unknown"),
        ("YBR126C_dma298", "deletion"),
        ("YBR126C_tsq29", "ts"),
        ("YBR126C_damp29", "damp"),
    ],
)
def test_kind_of_what_a_cell_says(text: str, kind: str) -> None:
    assert allele_kind(text, lambda name: name.upper() in ("TPS1", "YBR126C", "ADE5,7")) == kind


def test_a_gene_that_is_called_like_an_allele_is_its_own_bare_name() -> None:
    for name in ("let-7", "unc-13", "damp", "supp-1", "ts"):
        assert allele_kind(name, lambda text, name=name: text == name) == DELETION  # type: ignore[misc]
        assert allele_kind(f"{name}Δ", lambda text, name=name: text == name) in (DELETION, "damp", SUPPRESSOR)  # type: ignore[misc]


@given(st.text(max_size=60))
def test_any_text_has_a_kind_and_only_what_says_so_is_a_deletion(text: str) -> None:
    kind = allele_kind(text, lambda _: False)
    assert kind in KINDS
    if kind == DELETION:
        assert re.search(r"[Δ∆δ]|del|null|ko|knock|mx|r|dma|sn", text, re.IGNORECASE)


@given(st.text(max_size=3000))
def test_long_texts_do_not_run_away(text: str) -> None:
    assert allele_kind(text * 100, lambda _: False) in KINDS


def test_suppressed_strains_of_costanzo(test_data: Path) -> None:
    """240 allele names hold `-supp`, 72 of them under the tag of a deletion: dma 59, sn 13 (counted with openpyxl)."""
    rows = read_sheet(test_data / "costanzo2016" / costanzo.STRAIN_TABLE, costanzo.STRAIN_HEADER).rows[1:]
    kinds = [strain_kind(strain, allele) for strain, _, allele, *_ in rows]
    assert kinds.count(SUPPRESSOR) == 240
    as_deletion = [kind for (strain, *_), kind in zip(rows, kinds, strict=True) if re.search("_(dma|sn)", strain)]
    assert (as_deletion.count(SUPPRESSOR), len(as_deletion)) == (72, 3893 + 4071)
    assert kinds.count(UNKNOWN) == 0
