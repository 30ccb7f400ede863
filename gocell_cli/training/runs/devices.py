"""Whether there is a GPU at all, asked before torch is loaded: a machine without a driver is told so at once."""

import ctypes
import os

from gocell_cli.errors import UsageError

DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""NVIDIA's, that of Windows' Linux, AMD's: one is there where a driver is."""


TF32 = "tf32"
"""The precision that no CPU has."""


def require_device(device: str) -> None:
    """Raise UsageError where `cuda` is asked for on a machine without a driver. With one, torch has the last word."""
    if device == "cuda" and not is_driven():
        raise no_cuda()


def device_to_open(device: str) -> str:
    """Return where a trained run is opened: on a GPU where one is, whatever machine it was trained on."""
    return "cpu" if device == "cpu" else "auto"


def require_precision(device: str, precision: str) -> None:
    """Raise UsageError where TF32 is to be trained in and no GPU will be. With a driver, torch has the last word."""
    if precision == TF32 and (device == "cpu" or (device == "auto" and not is_driven())):
        raise no_tf32("a CPU")


def no_cuda() -> UsageError:
    """The error of a machine, or a torch, that can run nothing on a GPU."""
    why = "no driver is there, or none of its devices is visible, or torch was built without CUDA"
    return UsageError("device is cuda, and torch finds none here", why=why, hint="--device cpu, or auto")


def no_tf32(device: str) -> UsageError:
    """The error of a device that would train in float32 without a word."""
    why = "TF32 is for NVIDIA's GPUs of compute capability 8.0 (A100, RTX 30) and above"
    return UsageError(f"precision is tf32, and {device} has none", why=why, hint="--precision 32-true")


def is_driven() -> bool:
    """Return whether a driver of a GPU is there."""
    return any(map(os.path.exists, DRIVERS)) or _loads("libcuda.so.1")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
