"""A run's directory: what it was asked, what it measured, and checkpoints that need no pickle to load.

config.toml         the resolved settings          run.json         cache, fingerprint, split report, results
metrics.jsonl       one line an epoch              last.safetensors everything to go on; best.safetensors
tensorboard/        the same as events             figures/*.png
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gocell_cli.errors import DamagedCache, SourceMissing
from gocell_cli.training.extra import train_extra
from gocell_cli.whole_file import whole_file, write_whole

with train_extra():
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file
    from torch import Tensor

CONFIG, RECORD, METRICS = "config.toml", "run.json", "metrics.jsonl"


class RunStore:
    """Reads and writes one run's directory; every file appears whole or not at all.

    Of several processes one writes: where `writable` is False, nothing is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.writable = True

    @property
    def figures(self) -> Path:
        """Where figures go."""
        return self.directory / "figures"

    def exists(self) -> bool:
        """Whether a run has been begun here."""
        return (self.directory / RECORD).is_file()

    def require(self) -> None:
        """Raise SourceMissing where there is no run."""
        if not self.exists():
            raise SourceMissing(f"{self.directory}: no run is here", hint="gocell train --out DIR")

    def write_text(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        if not self.writable:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        write_whole(self.directory / name, text)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write run.json."""
        self.write_text(RECORD, json.dumps(record, indent=1, allow_nan=False) + "\n")

    def record(self) -> dict[str, Any]:
        """Read run.json; raises DamagedCache where it is no JSON."""
        self.require()
        try:
            found: dict[str, Any] = json.loads((self.directory / RECORD).read_text("utf-8"))
        except ValueError as error:
            raise DamagedCache(f"{self.directory / RECORD}: not JSON: {error}", hint="train the run again") from error
        return found

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl: whole, so that a resumed epoch never stands there twice."""
        self.write_text(METRICS, "".join(json.dumps(line, allow_nan=False) + "\n" for line in history))

    def save(self, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors, and everything else as JSON in the same file's header."""
        if not self.writable:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        with whole_file(self.directory / f"{name}.safetensors") as temporary:
            save_file(plain, temporary, metadata={"state": json.dumps(state)})

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read a checkpoint; raises SourceMissing where there is none, DamagedCache where it can't be read."""
        path = self.directory / f"{name}.safetensors"
        if not path.is_file():
            raise SourceMissing(f"{path}: no such checkpoint", hint="train for at least one epoch: gocell train")
        try:
            with safe_open(path, framework="pt") as file:
                state: dict[str, Any] = json.loads(file.metadata()["state"])
                return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118 not a dict
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DamagedCache(
                f"{path}: a damaged checkpoint: {error}", hint="train again, or --resume an older one"
            ) from error
