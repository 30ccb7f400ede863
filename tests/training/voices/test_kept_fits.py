"""Fitted models come back from tables and words as they were, to the bit; a file chooses nothing that runs."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float64

from gocell_cli.training.baselines.fitting import FITS, Fits
from gocell_cli.training.baselines.samples import Genotypes, NotApplicable
from gocell_cli.training.voices.kept_fits import packed, unpacked
from gocell_cli.typed_file import Malformed
from tests.training.baselines.screens import all_pairs, genotypes, known

SKLEARN = {"boosted_trees", "mlp"}
"""They hold a library's own objects: no voice is one of them."""


def fits() -> tuple[dict[str, Any], Any]:
    """All baselines that apply to pairs of 14 genes, the array's gene known, and the samples that test them."""
    rows = all_pairs(14)
    value = np.random.default_rng(4).normal(1, 0.2, len(rows))
    found = genotypes(rows, 16, arrays=True)
    seen, test = known(found, value, np.random.default_rng(5).integers(0, 3, len(rows)))
    every, kept = Fits(seen), dict[str, Any]()
    for name in set(FITS) - SKLEARN:
        try:
            kept[name] = every.get(name)
        except NotApplicable:
            continue
    return kept, test.genotypes


def test_fits_predict_the_same_after_their_way_through_a_file() -> None:
    found, test = fits()
    assert len(found) >= 8
    arrays, words = packed(found)
    again = unpacked({name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(words)))
    assert again.keys() == found.keys()
    for name, fit in found.items():
        assert np.array_equal(again[name].predict(test), fit.predict(test)), name
        assert again[name].settings == fit.settings


def test_an_array_that_two_fits_share_is_kept_once() -> None:
    found, _ = fits()
    one, both = packed({"a": found["additive"]})[0], packed({"a": found["additive"], "b": found["additive"]})[0]
    assert len(one) == len(both)


@pytest.mark.parametrize(
    "word",
    [
        {"fit": "baselines.samples:Fitted", "fields": {}},
        {"fit": "network.config:DCellConfig", "fields": {}},
        {"fit": "voices.kept_fits:packed", "fields": {}},
        {"fit": "baselines.additive:csr_matrix", "fields": {}},
        {"fit": "baselines.nowhere:Mean", "fields": {}},
        {"fit": "baselines.additive:Mean", "fields": {"mean": 1.0}},
        {"fit": "baselines.additive:Mean", "fields": {"mean": 1.0, "settings": {}, "more": 0}},
        {"array": "a99"},
        {"sparse": ["a99", "a99", "a99"], "shape": [1, 1]},
        {"pairs": [[1]]},
        {"fit": "baselines.additive:Mean", "array": "a0"},
        {"something": 1},
        3.5,
        None,
    ],
)
def test_words_that_name_no_fit_are_refused(word: Any) -> None:
    with pytest.raises(Malformed):
        unpacked({}, {"wide": word})


@dataclass(frozen=True)
class Elsewhere:
    """A fit that is none of gocell's rooms."""

    settings: dict[str, float]

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        """Zeros."""
        return np.zeros(len(genotypes))


def test_a_fit_of_another_package_is_not_kept() -> None:
    with pytest.raises(TypeError, match="nothing here keeps"):
        packed({"wide": Elsewhere({})})
