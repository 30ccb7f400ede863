"""Where a run's weights lie: the layout its checkpoints were saved in, which they are opened in again or not at all."""

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from gocell_cli.errors import DamagedCache
from gocell_cli.free_memory import require_memory
from gocell_cli.level_directions import LEAF_UP
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.own_model import Network, OwnModel
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.memory import HINT, MOST_SAID, itemsize, network_in_words, network_numbers, widths

with train_extra():
    import torch
    from torch import Tensor

TRAINED_GENES = "trained_genes"
"""Beside the weights of `best`: a bit a gene, whether a training sample deletes it. Others it does not know."""
VARIANCE = "running_var"
VECTORS = "vectors.genes"
"""The genes' vectors of a network that has some: `best` predicts with no other file of them."""

BEFORE = "height"
"""By what every network ran when no run recorded its `level_by`, whatever the level of its cache."""
DIGITS = 16
ARRAYS = ("order", "width", "inputs", "first_neuron", "blocks", "source", "row_position", "row_piece", "block_start")


@dataclass(frozen=True)
class Layout:
    """What places the weights, but for the hierarchy and the settings: the levels, and the genes that widths count."""

    level_by: str
    width_by: str

    @classmethod
    def of_cache(cls, cache: Cache) -> "Layout":
        """The layout of a network trained on a cache: the cache's own level."""
        return cls(cache.hierarchy.level_by, cache.manifest.config["filters"]["width_by"])

    def network(
        self,
        hierarchy: Hierarchy,
        config: RunConfig,
        copies: int = 1,
        vectors: Float64[np.ndarray, "genes columns"] | None = None,
        phenotypes: int = 1,
    ) -> DCell:
        """Return an untrained network laid out so; raises TooLarge where `copies` of its weights do not fit.

        Vectors of genes are the network's where its columns count from the wild type; else the other voices' alone.
        """
        numbers = network_numbers(hierarchy, widths(hierarchy, self.width_by, config), config)
        require_memory(
            round(min(copies * itemsize(config) * numbers, MOST_SAID)),
            network_in_words(config),
            hint=HINT,
        )
        if self.level_by != hierarchy.level_by:
            hierarchy = by_height(hierarchy)
        own = config.network(self.width_by, phenotypes)
        known = torch.from_numpy(vectors) if vectors is not None and own.from_wild_type else None
        return DCell(hierarchy, own, known)


def by_height(hierarchy: Hierarchy) -> Hierarchy:
    """Return a hierarchy whose level is the height: the longest way down to a leaf."""
    return replace(hierarchy, level=hierarchy.height, level_by=BEFORE, level_direction=LEAF_UP)


def layout_of(model: Network) -> str:
    """Return a fingerprint of where every weight lies: two layouts may have the same shapes, and mean other terms."""
    if isinstance(model, OwnModel):
        return model.layout()
    stack = model.stack
    arrays = {name: getattr(stack, name) for name in ARRAYS}
    arrays |= {"piece": stack.piece, "buckets": [astuple(bucket) for bucket in stack.buckets]}
    found = hashlib.sha256()
    for name, array in arrays.items():  # as little-endian int64: one fingerprint on every machine and NumPy
        found.update(name.encode() + np.ascontiguousarray(array, dtype="<i8").tobytes())
    return found.hexdigest()[:DIGITS]


def known_genes(tensors: Mapping[str, Tensor], genes: int) -> Bool[np.ndarray, " genes"]:
    """Return which genes a checkpoint knows; raises DamagedCache where it says so of other genes, or not at all."""
    found = tensors.get(TRAINED_GENES)
    if found is None or found.dtype != torch.bool or found.shape != (genes,):
        raise DamagedCache(f"the checkpoint does not say which of {genes:,} genes it knows", hint="train again")
    known: np.ndarray = found.numpy()
    return known


def load_weights(model: Network, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Put a checkpoint's weights and statistics into a network; what else it holds is left alone.

    Checkpoints of before there were fingerprints have none, and are opened by height, as they were made. Raises
    DamagedCache for a checkpoint of another layout, or one that lacks a tensor or has it in another shape.
    """
    wanted, found = layout_of(model), state.get("layout")
    if found not in (None, wanted):
        raise DamagedCache(
            "the checkpoint's weights lie in another order than this network's",
            why=f"layout {found} there, {wanted} here: trained by another version of gocell, or on other levels",
            hint="train again, or open it with the gocell that trained it",
        )
    own = model.state_dict()
    for name in own.keys() & tensors.keys():
        # an infinite variance is ours: a term that no sample touches
        # BatchNorm of PyTorch counts its batches
        if tensors[name].is_floating_point() != own[name].is_floating_point() or (
            name != VARIANCE and not bool(torch.isfinite(tensors[name]).all())
        ):
            raise DamagedCache(f"the checkpoint's {name} holds what is no number", hint="train again")
    try:
        model.load_state_dict({name: tensor for name, tensor in tensors.items() if name in own})
    except RuntimeError as error:
        raise DamagedCache("the checkpoint is not this network's", why=str(error), hint="train again") from error
