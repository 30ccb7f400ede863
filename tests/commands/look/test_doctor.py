"""`gocell doctor`: what it finds on this machine, and on ones that are broken on purpose."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import gocell_cli
from gocell_cli.commands.look.doctor import NETWORK, UNKNOWN, filesystem_of
from tests.commands.runners import invoke

RUN = "from gocell_cli.commands.app import main; main()"


def doctor(root: Path, *words: str, code: int = 0) -> str:
    result = invoke("doctor", "--root", root, *words)
    assert result.exit_code == code, result.output
    return result.stdout


def of_package(package: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """What the doctor of another copy of gocell says."""
    command = [sys.executable, "-c", RUN, "doctor", "--root", str(root), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=root.parent)


def by_name(stdout: str) -> dict[str, dict[str, str]]:
    return {f["what"]: f for f in json.loads(stdout)["findings"]}


def findings(root: Path, *, code: int = 0) -> dict[str, dict[str, str]]:
    return by_name(doctor(root, "--json", code=code))


def test_a_fresh_root_lacks_every_data_set_and_the_bundled_job_runs(tmp_path: Path) -> None:
    found = findings(tmp_path / "root")
    assert found["bundled release"]["state"] == "ok"
    assert "43,906 terms" in found["bundled release"]["detail"]
    for name in ("go", "annotations", "kuzmin2018", "kuzmin2020", "costanzo2016"):
        assert found[name]["state"] == "missing"
        assert found[name]["mend"].startswith(f"gocell fetch {name}")
    assert found["caches"]["mend"] == "gocell build-cache --dataset essentiality"
    assert found["extra train"]["state"] == ("ok" if find_spec("torch") is not None else "missing")
    assert "torch" in found["extra train"]["detail"]
    assert not (tmp_path / "root").exists(), "looking makes nothing"


def test_a_damaged_bundle_is_exit_6_and_says_so(tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(Path(gocell_cli.__file__).parent, package / "gocell_cli")
    shutil.copytree(Path(gocell_cli.__file__).parents[1] / "schemas", package / "gocell_cli" / "schemas")
    for path in (package / "gocell_cli" / "data").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-100])
    process = of_package(package, tmp_path / "root")
    assert process.returncode == 6, process.stderr
    found = by_name(process.stdout)
    assert found["bundled release"]["state"] == "FAILED"
    assert "pip install" in found["bundled release"]["mend"]


def test_a_table_that_was_changed_is_a_warning(tmp_path: Path) -> None:
    table = tmp_path / "root" / "raw" / "kuzmin2018" / "aao1729_data_s1.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("not the published table\n")
    found = findings(tmp_path / "root")
    assert found["kuzmin2018"]["state"] == "warning"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_root_that_can_not_be_written_to_fails(tmp_path: Path) -> None:
    place = tmp_path / "locked"
    place.mkdir(mode=0o500)
    assert findings(place / "root", code=6)["data root"]["state"] == "FAILED"


def test_the_text_names_what_to_do(tmp_path: Path) -> None:
    text = doctor(tmp_path / "root")
    assert "the bundled job can run" in text
    assert "gocell fetch kuzmin2018" in text


def test_the_nearest_mount_decides(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040data nfs4 rw 0 0\nbroken\nother {tmp_path}/my ext3 rw 0 0\n"
    )
    assert filesystem_of(tmp_path / "my data" / "root", mounts) == "nfs4"
    assert "nfs4" in NETWORK
    assert filesystem_of(tmp_path / "my dat", mounts) == "ext4"
    assert filesystem_of(tmp_path, tmp_path / "absent") == UNKNOWN
