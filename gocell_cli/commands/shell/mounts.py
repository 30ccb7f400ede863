"""Which kind of file system a path lies on."""

from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
UNKNOWN = "unknown"


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
            found = max(found, (len(point.parts), fields[2]), key=lambda f: f[0])
    return found[1]
