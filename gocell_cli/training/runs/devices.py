"""Whether there is a GPU at all, asked before torch is loaded: a machine without a driver is told so at once."""

import ctypes
import os

from gocell_cli.errors import UsageError

DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""NVIDIA's, that of Windows' Linux, AMD's: one is there where a driver is."""


def require_device(device: str) -> None:
    """Raise UsageError where `cuda` is asked for on a machine without a driver. With one, torch has the last word."""
    if device == "cuda" and not any(map(os.path.exists, DRIVERS)) and not _loads("libcuda.so.1"):
        raise no_cuda()


def no_cuda() -> UsageError:
    """The error of a machine, or a torch, that can run nothing on a GPU."""
    why = "no driver is there, or none of its devices is visible, or torch was built without CUDA"
    return UsageError("device is cuda, and torch finds none here", why=why, hint="--device cpu, or auto")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
