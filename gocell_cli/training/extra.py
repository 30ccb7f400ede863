"""torch and the libraries around it come with the extra `train`; here, and only here, their absence is put into words.

with train_extra():
import torch
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from gocell_cli.errors import ExtraMissing

EXTRA = (
    "torch",
    "torch_geometric",
    "torchmetrics",
    "safetensors",
    "scipy",
    "threadpoolctl",
    "sklearn",
    "tensorboard",
    "llvmlite",
)

# Threads that wait for work sleep: those of PyTorch and of others would else spin in each other's way, and where other
# programs run too, a step took ten times as long. Read by OpenMP when it is loaded, hence before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def train_extra() -> Iterator[None]:
    """Turn the failed import of a library of the extra into ExtraMissing; any other failure passes."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRA:
            raise
        raise _missing(str(error.name)) from error


def require_extra() -> None:
    """Raise ExtraMissing where a library of the extra is not installed; none of them is loaded for that."""
    for name in EXTRA:
        if find_spec(name) is None:
            raise _missing(name)


def _missing(name: str) -> ExtraMissing:
    return ExtraMissing(f"the trainer needs {name}, which is not installed", hint="pip install 'gocell[train]'")
