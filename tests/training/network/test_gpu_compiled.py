"""Every GPU kernel compiles for cards of compute capability 8.0 and 9.0, within bounds; no card is asked for."""

import json
import os
import subprocess
import sys

import pytest

from tests.attempts import whole_only

pytest.importorskip("triton", reason="the GPU's kernels need Triton (pip install 'gocell[triton]')")

REGISTERS = 128
"""A thread's at 128 threads a block: four blocks, 16 warps, on a multiprocessor of 65,536."""
SPILLED = 80
"""Bytes a thread: addresses that a loop needs once, no table. The most is 72, of `pull` in TF32 for 9.0 (8.0: 32)."""
SHARED = 32 << 10
"""Bytes a block, for the same four on a multiprocessor of 164 kB (8.0)."""
KERNELS = {
    "products", "sums", "statistics", "outputs", "heads", "pull", "moments", "normed", "common", "weight_gradients",
    "gene_gradients", "spread",
}  # fmt: skip
FIRST = ["ieee,bn-tanh,own"]
EVERY = [
    f"{precision},{order},{genes}"
    for precision in ("ieee", "tf32", "bf16")
    for order in ("bn-tanh", "tanh-bn")
    for genes in ("own", "shared")
]


@pytest.mark.parametrize("capability", ["sm_80", "sm_90"])
@pytest.mark.parametrize("settings", [FIRST, pytest.param(EVERY, marks=whole_only)], ids=["first", "every"])
def test_registers_spills_and_shared_memory(capability: str, settings: list[str]) -> None:
    command = [sys.executable, "-m", "tests.training.network.gpu_resources", capability, *settings]
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "TRITON_INTERPRET": "0"}
    )
    found = json.loads(said.stdout)
    assert {one["kernel"] for one in found} == KERNELS
    for one in found:
        assert one["registers"] <= REGISTERS, one
        assert one["spilled"] <= SPILLED, one
        assert one["shared"] <= SHARED, one
