"""Methods that PyTorch's compiler is to leave as they are, said without loading it.

torch.compiler.disable says the same, and loads torch._dynamo for it: 2 s, as long as all else of torch, for whoever
compiles nothing.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast, no_type_check

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch

P = ParamSpec("P")
R = TypeVar("R")
COMPILER = "torch._dynamo"
"""Loaded by whoever compiles; who does not can compile nothing of ours."""


def eagerly(method: Callable[P, R]) -> Callable[P, R]:
    """Return a method that torch.compile runs as it stands, and so all that it calls."""
    disabled: Callable[P, R] | None = None

    @no_type_check  # under pytest: torch.compile would look into what checks it
    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal disabled
        if COMPILER not in sys.modules:
            return method(*args, **kwargs)
        if disabled is None:
            disabled = cast("Callable[P, R]", torch.compiler.disable(method))
        # returned as it is: a name for it would be a line after the call, which the compiler would look into
        return disabled(*args, **kwargs)

    left: Callable[P, R] = call
    return left
