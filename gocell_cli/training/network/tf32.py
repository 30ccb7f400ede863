"""TF32, an arithmetic of NVIDIA's GPUs: float32's range with 10 bits of its 23, for products of matrices alone.

NVIDIA A100 Tensor Core GPU Architecture, 2020: operands are rounded, products are summed in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Let PyTorch's own products of float32 be TF32 (`tf32`) or not (`ieee`); at the end it is as it was.

    Of others, `bf16`, there is nothing to let: their products are of no float32.
    """
    before = torch.get_float32_matmul_precision()
    wanted = {"tf32": "high", "ieee": "highest"}.get(precision, before)
    # torch asks at each product, in whichever thread
    torch.set_float32_matmul_precision(wanted)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
