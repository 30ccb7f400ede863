"""DCell as encoder: GO membership where a network's terms take all their genes for alike, more where they do not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from gocell_cli.training.baselines.factorisation import by_size
from gocell_cli.training.baselines.fitting import Fits
from gocell_cli.training.baselines.membership import memberships
from gocell_cli.training.baselines.samples import Fitted, Known, Labelled, NotApplicable
from gocell_cli.training.voices.encoder import encoder, refitted, scaled_terms
from gocell_cli.training.voices.fitting import fit_voices
from gocell_cli.training.voices.kept_fits import packed, unpacked
from gocell_cli.training.voices.names import BLEND, DCELL, ENCODER, LEFT_OUT, NEIGHBOURS, WIDE
from gocell_cli.training.voices.wide import Wide
from tests.training.baselines.screens import GENES, all_pairs, correlation, genotypes, hierarchy, known

HALF = np.arange(GENES) % 4 < 2
"""The first two genes of each term of four: those that interact."""
UNSEEN = np.array([0, 3, 8, 11, 28, 31])
"""Genes that no training sample deletes, of either half."""


def nothing(name: str) -> Fitted:
    """No other model is read."""
    raise AssertionError(name)


def screen(seed: int = 0) -> tuple[Known, Labelled]:
    """Pairs of two interacting halves, of term 0 or 2 and of term 7, are 3 less; some genes unseen."""
    rows, rng = all_pairs(), np.random.default_rng(seed)
    module = np.sort(rows // 4, axis=1)
    apart = HALF[rows].all(axis=1) & (np.isin(module, (0, 2)).any(axis=1) & (module == 7).any(axis=1))
    value = -3.0 * apart + rng.normal(0, 0.2, len(rows))
    hidden = np.isin(rows, UNSEEN).any(axis=1)
    return known(genotypes(rows), value, np.where(hidden, 1 + np.arange(len(rows)) % 2, 0))


def encoded(first: float, second: float) -> csr_matrix:
    """What a network would say whose terms hear their first half of genes so, the second so, and the root all alike."""
    closure = hierarchy().closure
    gene = np.repeat(np.arange(GENES), np.diff(closure.ptr))
    heard = np.where(closure.term == 0, -0.7, np.where(HALF[gene], first, second))
    return csr_matrix((heard, closure.term, closure.ptr), (GENES, GENES // 4 + 1))


def test_terms_that_take_all_their_genes_for_alike_are_membership() -> None:
    found = scaled_terms(encoded(-0.7, -0.7))
    assert found.toarray() == pytest.approx(by_size(memberships(hierarchy())).toarray())


def test_what_the_network_tells_apart_the_machine_need_not_learn() -> None:
    seen, test = screen()
    told = encoder(replace(seen, encoded=encoded(-2.0, 0.01)), nothing)
    blind = encoder(replace(seen, encoded=encoded(-1.0, -1.0)), nothing)
    assert correlation(told, test) > correlation(blind, test) + 0.1
    again = refitted(told, replace(seen, train=seen.validation, encoded=encoded(-2.0, 0.1), kept={}))
    assert again.settings == told.settings
    assert not np.array_equal(again.predict(test.genotypes), told.predict(test.genotypes))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (None, "no trained network"),
        (0 * encoded(1.0, 1.0), "the same whichever gene"),
        (encoded(np.nan, 1.0), "not finite"),
    ],
)
def test_a_network_that_says_nothing_is_no_encoder(values: csr_matrix | None, reason: str) -> None:
    seen, _ = screen()
    with pytest.raises(NotApplicable, match=reason):
        encoder(replace(seen, encoded=values), nothing)


def test_single_deletions_and_pairs_of_noise_have_no_encoder() -> None:
    rng, rows = np.random.default_rng(0), all_pairs()
    single, _ = known(genotypes([(g,) for g in range(GENES)]), rng.normal(size=GENES), np.arange(GENES) % 3)
    noise, _ = known(genotypes(rows), rng.normal(size=len(rows)), np.arange(len(rows)) % 3)
    for seen, reason in ((single, "deletes two genes"), (noise, "no more than single effects")):
        with pytest.raises(NotApplicable, match=reason):
            encoder(replace(seen, encoded=encoded(-2.0, 0.1)), nothing)


def test_without_the_network_the_blend_is_without_its_encoder() -> None:
    """What DCell adds is what both are worth; and a kept encoder answers without the network's vectors."""
    seen, test = screen()
    seen = replace(seen, encoded=encoded(-2.0, 0.1))
    network = np.random.default_rng(0).normal(size=len(seen.validation))
    voices, found = fit_voices(seen, Fits(seen).get, (WIDE, NEIGHBOURS, ENCODER), network, np.full(GENES, np.nan))
    assert found[ENCODER].reason is None
    assert set(voices.blend) == {DCELL, WIDE, NEIGHBOURS, ENCODER}
    assert set(voices.without) == {DCELL, WIDE, NEIGHBOURS, ENCODER}
    assert set(voices.without[DCELL]) == {WIDE, NEIGHBOURS}
    assert set(voices.without[ENCODER]) == {DCELL, WIDE, NEIGHBOURS}
    said = voices.say(test.genotypes, np.zeros(len(test)))
    assert {ENCODER, BLEND, LEFT_OUT + DCELL, LEFT_OUT + ENCODER} <= set(said)
    kept = unpacked(*packed(voices.parts))[ENCODER]
    assert isinstance(kept, Wide)
    assert np.array_equal(kept.predict(test.genotypes), said[ENCODER])


def test_a_network_and_its_encoder_alone_have_no_blend_without_the_network() -> None:
    seen, test = screen()
    seen = replace(seen, encoded=encoded(-2.0, 0.1))
    voices, _ = fit_voices(seen, Fits(seen).get, (ENCODER,), np.zeros(len(seen.validation)), np.full(GENES, np.nan))
    assert set(voices.without) == {ENCODER}
    assert LEFT_OUT + DCELL not in voices.say(test.genotypes, np.zeros(len(test)))
