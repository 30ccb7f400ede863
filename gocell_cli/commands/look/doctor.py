"""`gocell doctor`: what this machine has, what is missing for each data set, and the command that mends it."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

import typer

from gocell_cli.commands.shell.options import Json, Root
from gocell_cli.commands.shell.places import data_root
from gocell_cli.commands.shell.terminal import make_table, show, show_json, styled
from gocell_cli.errors import GocellError, SourceMissing

MOUNTS = Path("/proc/self/mounts")
UNKNOWN = "unknown"
# 2 GiB.
ENOUGH_BYTES = 2 << 30
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is ok, warning, missing or FAILED; `mend` a command, or empty."""

    what: str
    state: str
    detail: str
    mend: str = ""


def doctor(root: Root = None, json: Json = False) -> None:
    """Look at versions, devices, disk, the bundled release, the data root and the data sets.

    Exit code 0 unless the bundled job (`gocell build-cache --dataset essentiality`) cannot run here: then 6.
    """
    chosen = data_root(root)
    findings = examine(chosen)
    failed = [f for f in findings if f.state == "FAILED"]
    if json:
        show_json({"ok": not failed, "root": str(chosen), "findings": [asdict(f) for f in findings]})
    else:
        rows = [[f.what, f.state, f.detail, f.mend] for f in findings]
        show(make_table("", ["", "", "found", "mend with"], rows), "")
        show(styled("bold red", "the bundled job cannot run") if failed else "the bundled job can run")
    if failed:
        raise typer.Exit(SourceMissing.exit_code)


def examine(root: Path) -> list[Finding]:
    """Return what there is of everything that a command may need."""
    looks: tuple[Callable[[Path], list[Finding]], ...] = (_python, _extras, _devices, _disk, _bundled, _caches, _data)
    return [finding for look in looks for finding in look(root)]


def _python(_: Path) -> list[Finding]:
    found = f"gocell {version('gocell')}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return [Finding("gocell", "ok", f"{found}, {os.cpu_count()} cores")]


def _extras(_: Path) -> list[Finding]:
    """Each extra's packages, by the project's own metadata."""
    found = []
    for extra in ("train", "dask", "wandb"):
        names = [line.split(";")[0].strip() for line in requires("gocell") or () if f'extra == "{extra}"' in line]
        own = {name: _version(name) for name in (n.split(">")[0].split("<")[0].split("=")[0] for n in names)}
        absent = sorted(name for name, found_version in own.items() if found_version is None)
        detail = ", ".join(f"{name} {v}" for name, v in own.items() if v is not None)
        state = "missing" if absent else "ok"
        detail = f"without {', '.join(absent)}" if absent else detail
        found.append(Finding(f"extra {extra}", state, detail, f"pip install 'gocell[{extra}]'" if absent else ""))
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _devices(_: Path) -> list[Finding]:
    if find_spec("torch") is None:
        return [Finding("devices", "missing", "training needs torch", "pip install 'gocell[train]'")]
    import torch

    if not torch.cuda.is_available():
        return [Finding("devices", "ok", f"CPU, {torch.get_num_threads()} threads; no CUDA device")]
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [Finding("devices", "ok", f"CPU and {', '.join(names)}")]


def _disk(root: Path) -> list[Finding]:
    """Free space and file system where the data root is, or would be."""
    # The data root may not be there yet: what holds it is the nearest folder above that is.
    place = next(p for p in (root.absolute(), *root.absolute().parents) if p.exists())
    free, kind = shutil.disk_usage(place).free, filesystem_of(place)
    found = [
        Finding("disk", "ok", f"{free / 1e9:,.1f} GB free at {place}")
        if free >= ENOUGH_BYTES
        else Finding("disk", "warning", f"{free / 1e9:,.1f} GB free at {place}", "gocell cache prune"),
    ]
    if not os.access(place, os.W_OK):
        found.append(Finding("data root", "FAILED", f"{place} can't be written to", "export GOCELL_ROOT=DIR"))
    if kind in NETWORK:
        detail = f"{kind}: memory-mapped LMDB may fail or lock up on a network file system"
        found.append(Finding("file system", "warning", detail, "gocell build-cache --backend parquet"))
    else:
        found.append(Finding("file system", "ok", kind))
    return found


def filesystem_of(path: Path, mounts: Path = MOUNTS) -> str:
    r"""Return the file system of the mount point that is nearest above a path; `unknown` off Linux.

    `mounts` is a table like /proc/self/mounts: device, mount point (a blank is \\040), kind, options.
    """
    if not mounts.is_file():
        return UNKNOWN
    whole, found = path.resolve(), (0, UNKNOWN)
    for line in mounts.read_text("utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if point == whole or point in whole.parents:
            # The deepest mount point above the path holds it; of equally deep ones the first in the table.
            found = max(found, (len(point.parts), fields[2]), key=lambda f: f[0])
    return found[1]


def _bundled(_: Path) -> list[Finding]:
    """Whether the bundled release opens and is the one that was bundled."""
    from gocell_cli.sources.go.releases import load_release

    try:
        release = load_release(None, None)
    except GocellError as error:
        return [Finding("bundled release", "FAILED", error.message, error.hint)]
    terms = f"{len(release.ontology):,} terms, {len(release.genes):,} genes"
    return [Finding("bundled release", "ok", f"GO {release.ontology.release}: {terms}")]


def _caches(root: Path) -> list[Finding]:
    from gocell_cli.storage.overview import caches_in

    caches = caches_in(root / "caches")
    if not caches:
        return [Finding("caches", "missing", f"none under {root}", "gocell build-cache --dataset essentiality")]
    states = [c["state"] for c in caches]
    detail = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    size = sum(c["bytes"] for c in caches) / 1e6
    bad = "damaged" in states
    mend = "gocell cache ls" if bad else "gocell cache prune" if "unfinished" in states else ""
    return [Finding("caches", "warning" if mend else "ok", f"{detail}, {size:,.1f} MB under {root}", mend)]


def _data(root: Path) -> list[Finding]:
    """Every data set: there as published, missing, or changed."""
    from gocell_cli.sources.download.catalog import SOURCES
    from gocell_cli.sources.download.status import fetch_status

    try:
        files = [f for f in fetch_status(root) if not f.optional]
    except GocellError as error:
        return [Finding("sources", "warning", error.message, error.hint)]
    found = []
    for name, source in SOURCES.items():
        own = [f for f in files if f.source == name]
        changed = [f.file for f in own if f.status == "CHANGED"]
        absent = [f.file for f in own if f.status == "absent"]
        if changed:
            mend = f"{source.command} --accept-changed"
            found.append(Finding(name, "warning", f"changed since first used: {', '.join(changed)}", mend))
        elif absent:
            found.append(Finding(name, "missing", f"not in the data root: {', '.join(absent)}", source.command))
        else:
            found.append(Finding(name, "ok", ", ".join(f"{f.file} ({f.status})" for f in own)))
    return found
