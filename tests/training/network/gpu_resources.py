"""Every GPU kernel compiled for a card that is not there: registers, spills and shared memory, as one JSON object.

    python -m tests.training.network.gpu_resources sm_90 [PRECISION NORM_ORDER own|shared]...

The kernels' arguments are those of a step on a random hierarchy with blocks of 20 neurons: its launches are recorded,
not run. In a process of its own, for Triton's interpreter is a matter of the environment it is imported in.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["TRITON_INTERPRET"] = "0"
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.gpu import levels
from tests.training import networks as nets

TYPES = {torch.float32: "*fp32", torch.float64: "*fp64", torch.bfloat16: "*bf16", torch.int32: "*i32"}
Launch = tuple[Any, tuple[str, ...], tuple[tuple[str, Any], ...]]


def launches(precision: str, norm_order: str, gene_weights: str) -> list[Launch]:
    """Kernel, types of its arguments and its constants, of each distinct launch of training and of prediction."""
    found: dict[Launch, None] = {}

    def record(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
        kinds = tuple("i32" if isinstance(a, int) else TYPES[a.dtype] for a in arguments)
        found[kernel, kinds, tuple(constants.items())] = None

    levels.launch = record
    config = DCellConfig(min_width=20, form="delta", norm_order=norm_order, gene_weights=gene_weights)
    model = DCell(nets.random_network(3), config)
    assert model.delta is not None
    form = model.delta = replace(model.delta, backend="gpu", precision=precision)
    batch = nets.deletions(nets.random_genotypes(3, 20, 12), 12)
    for training in (True, False):
        model.train(training)
        for wide in (0, 2**40):  # a wide term has kernels of its own
            model.delta = replace(form, wide=wide)
            model.variant_heads(batch).values.sum().backward()
    return list(found)


def compiled(launch: Launch, capability: int) -> dict[str, Any]:
    """Compile one, and ask the assembler what it needs."""
    kernel, kinds, constants = launch
    names = kernel.arg_names
    signature = {**dict(zip(names, kinds, strict=False)), **{name: "constexpr" for name, _ in constants}}
    # tables begin at multiples of 16 bytes, and Triton is told so when it is called
    aligned = {(i,): [["tt.divisibility", 16]] for i, kind in enumerate(kinds) if kind.startswith("*")}
    source = ASTSource(fn=kernel, signature=signature, constexprs=dict(constants), attrs=aligned)
    found = triton.compile(source, target=GPUTarget("cuda", capability, 32))
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(found.asm["cubin"])
        tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
        said = subprocess.run([tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True)
    usage = dict(re.findall(r"(REG|STACK|LOCAL|SHARED):(\d+)", said.stdout))
    return {
        "kernel": kernel.fn.__name__, "constants": dict(constants), "registers": int(usage["REG"]),
        "spilled": int(usage["STACK"]) + int(usage["LOCAL"]), "shared": found.metadata.shared,
        "threads": 32 * found.metadata.num_warps,
    }  # fmt: skip


if __name__ == "__main__":
    wanted = [argument.split(",") for argument in sys.argv[2:]] or [["ieee", "bn-tanh", "own"]]
    distinct = {launch: None for settings in wanted for launch in launches(*settings)}
    print(json.dumps([compiled(launch, int(sys.argv[1].removeprefix("sm_"))) for launch in distinct]))
