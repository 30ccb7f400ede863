"""A run's voices: fitted once its network is trained, kept in its directory, opened again to predict."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.errors import DamagedCache
from gocell_cli.run_record import AddsRecord, RunRecord, VoiceRecord
from gocell_cli.training.baselines.fitting import Fits
from gocell_cli.training.evaluation.paired import NO_GROUP, Pairing, draw, interval
from gocell_cli.training.extra import train_extra
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.voices.fitting import Voiced, fit_voices
from gocell_cli.training.voices.kept_fits import packed, unpacked
from gocell_cli.training.voices.names import BLEND, DCELL, ENCODER, LEFT_OUT, NEIGHBOURS, WIDE
from gocell_cli.training.voices.voices import Said, Voices
from gocell_cli.typed_file import Malformed

with train_extra():
    import torch

VOICES = "voices"
"""voices.safetensors of a run's directory."""
SINGLES = "singles"
LEAST_SAMPLES = 10
"""Test samples below which nothing is said of a difference."""


def asked_voices(config: RunConfig) -> list[str]:
    """Return the voices that a run has beside its network."""
    settings = {WIDE: config.wide, NEIGHBOURS: config.neighbours, ENCODER: config.encoder}
    return [name for name, how in settings.items() if how != "none" and not config.overfit]


def settle_voices(
    store: RunStore,
    fits: Fits,
    names: list[str],
    network: Float64[np.ndarray, " validation"],
    singles: Float64[np.ndarray, " genes"],
    number: int = 0,
) -> tuple[Voices, dict[str, Voiced]]:
    """Fit a run's voices beside its network, and keep them; `network` predicts the validation samples with a label.

    number: of several phenotypes, which.
    """
    voices, found = fit_voices(fits.known, fits.get, names, network, singles)
    arrays, words = packed(voices.parts)
    arrays[SINGLES] = voices.singles
    state = {
        "fits": words, "total_genes": voices.total_genes, "mean": voices.mean, "blend": voices.blend,
        "without": voices.without, "classes": voices.classes,
    }  # fmt: skip
    store.save(_name(number), {name: torch.from_numpy(array) for name, array in arrays.items()}, state)
    return voices, found


def _name(number: int) -> str:
    """The checkpoint of one phenotype's voices: voices, voices_1 ..."""
    return f"{VOICES}_{number}" if number else VOICES


def kept_voices(store: RunStore, record: RunRecord, number: int = 0) -> Voices | None:
    """Return a run's voices, None where it has its network alone; raises DamagedCache where they cannot be read.

    Of several phenotypes those of number `number`, as which the record sees itself.
    """
    if record.voices is None:
        return None
    tensors, state = store.load(_name(number))
    with store.naming(_name(number)):
        try:
            fits = unpacked({name: tensor.numpy() for name, tensor in tensors.items()}, state["fits"])
            return Voices(
                int(state["total_genes"]),
                float(state["mean"]),
                fits,
                _weights(state["blend"]),
                {str(name): _weights(weights) for name, weights in state["without"].items()},
                bool(state["classes"]),
                tensors[SINGLES].numpy(),
            )
        except (Malformed, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedCache(f"damaged voices: {error}", hint="train again") from error


def _weights(words: Any) -> dict[str, float]:
    return {str(name): float(weight) for name, weight in words.items()}


def voice_records(
    voices: Voices, found: Mapping[str, Voiced], metrics: Mapping[str, dict[str, Any]]
) -> dict[str, VoiceRecord]:
    """Return what is recorded of each voice; `metrics` are those of the validation part."""
    return {
        name: VoiceRecord(
            round(one.seconds, 3),
            dict(one.settings),
            metrics.get(name),
            voices.blend.get(name),
            one.reason,
        )
        for name, one in found.items()
    }


def what_dcell_adds(
    said: Said, true: Float64[np.ndarray, " n"], group: np.ndarray, metric: str, seed: int
) -> AddsRecord | None:
    """Return by how much the blend is better than the one without the network; None where nothing says it.

    Without it there is no encoder either: what both are worth is what the network is.
    """
    kept = np.isfinite(true)
    without = said.get(LEFT_OUT + DCELL)
    if without is None or kept.sum() < LEAST_SAMPLES:
        return None
    numbers = np.where(group[kept] < 0, NO_GROUP, group[kept]).astype(np.int64)
    pairing = Pairing(true[kept], without[kept], said[BLEND][kept], numbers)
    found = draw(pairing, seed, only=(metric,)).get(metric)
    if found is None or not np.isfinite(found.difference):
        return None
    if np.allclose(without, said[BLEND], rtol=1e-9, atol=0):  # its weight is 0: resampling would tell rounding
        return AddsRecord(metric, 0.0, (0.0, 0.0), None, ENCODER in said)
    groups = None if found.groups is None else interval(found.groups)
    return AddsRecord(metric, found.difference, interval(found.samples), groups, ENCODER in said)
