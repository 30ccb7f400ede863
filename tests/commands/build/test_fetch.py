"""`gocell fetch` and `--release` as a user runs them, against a web server of this machine."""

import gzip
import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gocell_cli.commands.shell import progress
from gocell_cli.errors import SourceMissing, UsageError
from gocell_cli.sources.download.lock import LOCK_FILE, read_entries
from tests import toy
from tests.commands.runners import GOCELL, document, environment, failure, invoke, run
from tests.sources.conftest import files_under
from tests.sources.download.test_fetch_release import DATE, GAF_URL, OBO_URL, gaf, obo
from tests.sources.http_server import Answer, LocalSite, zip_of

TAG = (("ETag", '"one"'),)
ARCHIVE = "/aao1729_data_s1.zip"


@pytest.fixture
def site(local_site: LocalSite) -> LocalSite:
    """A mirror of one GO release."""
    local_site.files.update({OBO_URL: obo(), GAF_URL: gaf(), "/go-basic.obo": obo(), "/sgd.gaf.gz": gaf()})
    return local_site


def start(site: LocalSite, *words: object, cwd: Path) -> subprocess.Popen[str]:
    """Start the real command and do not wait for it."""
    return subprocess.Popen(
        [GOCELL, *map(str, words)],
        cwd=cwd,
        env=environment(GOCELL_MIRROR=site.url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_source_it_lists_what_there_is(site: LocalSite, tmp_path: Path) -> None:
    process = run("fetch", cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    for word in ("go-basic.obo", "sgd.gaf.gz", "aao1729_data_s1.tsv", "Table-S1.xlsx", "SGA_NxN.txt", "absent"):
        assert word in process.stdout
    assert "https://thecellmap.org/costanzo2016" in process.stdout
    assert (list(tmp_path.iterdir()), site.requests) == ([], [])


def test_the_list_tells_the_state_of_every_file(site: LocalSite, tmp_path: Path) -> None:
    run("fetch", "go", "--release", DATE, "--root", tmp_path, "--mirror", site.url, cwd=tmp_path)
    raw = tmp_path / "raw"
    for name in ("annotations/2020-01-01/sgd.gaf.gz", "go/2020-01-01/go-basic.obo", "kuzmin2018/aao1729_data_s1.tsv"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(gaf())
    files = {f["path"].removeprefix(f"{raw}/"): f for f in document("fetch", "--root", tmp_path)["files"]}
    assert {name: f["status"] for name, f in files.items()} == {
        f"go/{DATE}/go-basic.obo": "as first used",
        "go/2020-01-01/go-basic.obo": "unrecorded",
        "annotations/2020-01-01/sgd.gaf.gz": "unrecorded",
        "kuzmin2018/aao1729_data_s1.tsv": "CHANGED",
        **{f"kuzmin2020/Table-S{n}.xlsx": "absent" for n in (1, 3, 5)},
        **{f"costanzo2016/SGA_{kind}.txt": "absent" for kind in ("NxN", "ExN_NxE", "ExE", "DAmP")},
        "costanzo2016/strain_ids_and_single_mutant_fitness.xlsx": "absent",
    }
    fetched = files[f"go/{DATE}/go-basic.obo"]
    assert (fetched["bytes"], fetched["version"]) == (len(obo()), f"releases/{DATE}")
    assert fetched["url"] == site.url + OBO_URL
    (raw / "go" / DATE / "go-basic.obo").write_bytes(b"edited")
    states = [f["status"] for f in document("fetch", "--root", tmp_path)["files"] if f["source"] == "go"]
    assert states == ["unrecorded", "CHANGED"]


def test_several_sources_are_fetched_with_one_line_each(site: LocalSite, tmp_path: Path) -> None:
    words = ("fetch", "go", "annotations", "go", "--release", DATE, "--root", "data")
    process = run(*words, cwd=tmp_path, GOCELL_MIRROR=site.url)
    assert process.returncode == 0
    assert process.stderr.splitlines() == [
        f"note: fetching Gene Ontology, go-basic.obo, {len(obo())} bytes",
        f"note: fetching yeast annotations (SGD), sgd.gaf.gz, {len(gaf())} bytes",
    ]
    assert f"data/raw/go/{DATE}/go-basic.obo" in process.stdout
    again = run(*words, "--json", cwd=tmp_path, GOCELL_MIRROR=site.url)
    assert again.stderr == ""
    told = json.loads(again.stdout)["files"]
    assert [(f["status"], f["version"]) for f in told] == [
        ("already there", f"releases/{DATE}"),
        ("already there", f"{DATE}T12:17"),
    ]
    assert site.requests == [OBO_URL, GAF_URL]


def test_on_a_terminal_there_is_a_bar(site: LocalSite, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [GOCELL, "fetch", "go", "--root", "data"],
        cwd=tmp_path,
        env=environment(GOCELL_MIRROR=site.url, TERM="xterm", COLUMNS="120"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:  # the end of a pseudo-terminal
            pass
        os.close(master)
        assert process.wait() == 0
    assert b"Gene Ontology" in shown
    assert b"\x1b[" in shown
    assert b"note:" not in shown


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--release", DATE], "gocell fetch go annotations"),
        (["--offline"], "gocell fetch go annotations"),
        (["--accept-changed"], "gocell fetch go annotations"),
        (["kuzmin2018", "--release", DATE], f"gocell fetch go --release {DATE}"),
        (["go", "--release", "yesterday"], "--release 2025-03-16"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, words: list[str], hint: str) -> None:
    error = failure("fetch", *words, "--root", tmp_path)
    assert isinstance(error, UsageError)
    assert error.hint == hint
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source_is_a_usage_error(tmp_path: Path) -> None:
    assert invoke("fetch", "nonsense", "--root", tmp_path).exit_code == 2


def test_a_missing_source_exits_6_with_url_place_and_hint(site: LocalSite, tmp_path: Path) -> None:
    process = run("fetch", "costanzo2016", "--json", cwd=tmp_path, GOCELL_MIRROR=site.url)
    assert (process.returncode, process.stdout) == (6, "")
    for text in ("404", site.url, "gocell_data/raw/costanzo2016/SGA_NxN.txt", "--raw DIR", "hint: "):
        assert text in process.stderr
    assert "Traceback" not in process.stderr
    assert files_under(tmp_path) == []


def test_offline_fetches_nothing(site: LocalSite, tmp_path: Path) -> None:
    error = failure("fetch", "go", "--release", DATE, "--offline", "--root", tmp_path, "--mirror", site.url)
    assert isinstance(error, SourceMissing)
    assert (list(tmp_path.iterdir()), site.requests) == ([], [])


def test_a_changed_file_is_named_and_can_be_accepted(site: LocalSite, tmp_path: Path) -> None:
    words = ("fetch", "go", "--release", DATE, "--root", "data", "--mirror", site.url)
    run(*words, cwd=tmp_path)
    (tmp_path / f"data/raw/go/{DATE}/go-basic.obo").write_bytes(obo(name="changed"))
    process = run(*words, cwd=tmp_path)
    assert process.returncode == 6
    hint = process.stderr.splitlines()[-1]
    assert hint.endswith(f"gocell fetch go --release {DATE} --root data --accept-changed")
    assert run(*hint.partition("gocell ")[2].split(), cwd=tmp_path).returncode == 0
    assert run(*words, cwd=tmp_path).returncode == 0


def test_a_root_that_cannot_be_written_is_one_clear_error(site: LocalSite, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file where a folder should be")
    process = run("fetch", "go", "--root", ".", cwd=tmp_path, GOCELL_MIRROR=site.url)
    assert process.returncode == 2
    assert process.stderr.splitlines()[0] == "error: raw: cannot be written"


def test_processes_that_fetch_at_once_do_not_disturb_each_other(site: LocalSite, tmp_path: Path) -> None:
    later = "2025-06-01"
    site.files[f"/{later}/ontology/go-basic.obo"] = obo(f"releases/{later}")
    jobs = [("go", DATE), ("go", DATE), ("annotations", DATE), ("go", later), ("go", DATE)]
    processes = [start(site, "fetch", name, "--release", day, "--root", "data", cwd=tmp_path) for name, day in jobs]
    ends = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, _, code in ends] == [0] * len(jobs), ends
    assert sorted(site.requests) == sorted([OBO_URL, GAF_URL, f"/{later}/ontology/go-basic.obo"])
    root = tmp_path / "data"
    paths = [f"annotations/{DATE}/sgd.gaf.gz", f"go/{DATE}/go-basic.obo", f"go/{later}/go-basic.obo"]
    assert list(read_entries(root)) == paths
    assert files_under(root) == [*(f"raw/{path}" for path in paths), LOCK_FILE]


def stalled(site: LocalSite, body: bytes, tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """A fetch in the middle of a file, and its part."""
    site.script[OBO_URL] = [Answer(body, headers=TAG, cut=100_000, stall=True), Answer(body, headers=TAG)]
    process = start(site, "fetch", "go", "--release", DATE, "--root", "data", cwd=tmp_path)
    part = tmp_path / "data" / "raw" / "go" / f".{DATE}.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process, part


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_an_interrupted_fetch_is_resumed_by_the_next(
    site: LocalSite, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    body = obo(name="x" * 300_000)
    process, part = stalled(site, body, tmp_path)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"resume with: gocell fetch go --release {DATE} --root data" in told or code < 0
    size = part.stat().st_size
    again = run("fetch", "go", "--release", DATE, "--root", "data", cwd=tmp_path, GOCELL_MIRROR=site.url)
    assert again.returncode == 0
    assert site.ranges_asked() == [None, f"bytes={size}-"]
    assert (tmp_path / f"data/raw/go/{DATE}/go-basic.obo").read_bytes() == body
    assert not part.exists()


def test_a_second_fetch_waits_for_the_first_and_takes_its_file(site: LocalSite, tmp_path: Path) -> None:
    first, _ = stalled(site, obo(name="x" * 300_000), tmp_path)
    second = start(site, "fetch", "go", "--release", DATE, "--root", "data", cwd=tmp_path)
    assert second.stderr is not None
    assert second.stderr.readline() == "note: another process is fetching go; waiting for it\n"
    first.kill()
    first.communicate(timeout=60)
    assert second.wait(timeout=120) == 0
    second.communicate()
    assert len(site.requests) == 2


@pytest.fixture
def release(site: LocalSite, tmp_path: Path) -> list[object]:
    """The toy's ontology and annotations, served as a GO release."""
    text = toy.write_obo(tmp_path).read_text("utf-8")
    header, _, stanzas = text.partition("\n\n")
    lines = [line for line in header.splitlines() if not line.startswith("data-version")]
    body = "\n".join([*lines, f"data-version: releases/{DATE}"]) + f"\n\n{stanzas.rstrip()}\n\n[Typedef]\nid: part_of\n"
    site.files[OBO_URL] = body.encode()
    site.files[GAF_URL] = gzip.compress(toy.write_gaf(tmp_path).read_bytes())
    return ["--release", DATE, "--root", tmp_path / "data"]


def test_verify_levels_fetches_the_release_it_needs(
    site: LocalSite, tmp_path: Path, release: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOCELL_MIRROR", site.url)
    told = document("verify-levels", *release)
    assert told["ontology"]["release"] == f"releases/{DATE}"
    assert site.requests == [OBO_URL]
    assert document("verify-levels", *release, "--offline") == told
    assert site.requests == [OBO_URL]
    assert isinstance(failure("verify-levels", *release, "--obo", "x.obo"), UsageError)
    assert isinstance(failure("verify-levels", *release, "--offline", "--scope", "hierarchy"), SourceMissing)


def test_a_build_fetches_the_release_and_is_the_build_of_its_files(
    site: LocalSite, tmp_path: Path, release: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOCELL_MIRROR", site.url)
    built = document("build-cache", "--min-genes", 1, *release)
    assert site.requests == [OBO_URL, GAF_URL]
    raw = tmp_path / "data" / "raw"
    files = ["--obo", raw / "go" / DATE / "go-basic.obo", "--gaf", raw / "annotations" / DATE / "sgd.gaf.gz"]
    again = document("build-cache", "--min-genes", 1, *files, "--root", tmp_path / "data")
    assert (again["status"], again["fingerprint"]) == ("up to date", built["fingerprint"])
    assert isinstance(failure("build-cache", *release, "--gaf", "x.gaf"), UsageError)
    (raw / "go" / DATE / "go-basic.obo").write_bytes(obo())
    assert isinstance(failure("build-cache", *release), SourceMissing)
    assert isinstance(failure("build-cache", "--release", "2020-01-01", "--offline"), SourceMissing)


def test_a_real_release_passes_every_check(site: LocalSite, tmp_path: Path, test_data: Path) -> None:
    day = "2021-12-15"
    body = (test_data / "go" / f"go-basic-{day}.obo.gz").read_bytes()
    site.files[f"/{day}/ontology/go-basic.obo"] = gzip.decompress(body)
    process = run("fetch", "go", "--release", day, "--json", cwd=tmp_path, GOCELL_MIRROR=site.url)
    (file,) = json.loads(process.stdout)["files"]
    assert (file["version"], file["status"]) == (f"releases/{day}", "fetched")
    site.files["/2016-10-03/annotations/sgd.gaf.gz"] = (test_data / "go" / "goa_yeast-2016-10-03.gaf.gz").read_bytes()
    words = ("fetch", "annotations", "--release", "2016-10-03", "--json")
    (file,) = json.loads(run(*words, cwd=tmp_path, GOCELL_MIRROR=site.url).stdout)["files"]
    assert file["version"] == "2016-10-03 09:46"


def test_a_table_that_is_fetched_by_a_build_is_the_one_that_fetch_lists(site: LocalSite, tmp_path: Path) -> None:
    site.files[ARCHIVE] = zip_of({"aao1729_data_s1.tsv": b"not the published table"})
    words = ("--root", "data")
    built = run("build-cache", "--dataset", "kuzmin2018", *words, cwd=tmp_path, GOCELL_MIRROR=site.url)
    fetched = run("fetch", "kuzmin2018", *words, cwd=tmp_path, GOCELL_MIRROR=site.url)
    # a build can do without the table: it says so behind what both say
    sample = "; or --sample, the 15,095 free rows that come with gocell\n"
    assert (built.returncode, built.stderr) == (6, fetched.stderr.removesuffix("\n") + sample)
    assert "sha256" in built.stderr
    assert site.requests == [ARCHIVE, ARCHIVE]


def test_off_a_terminal_it_is_told_from_time_to_time_how_far_a_file_has_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_SECONDS", 0.0)
    watcher = progress.Download(None)
    watcher.progress("GO", 0, 31_000_000)
    watcher.progress("GO", 1_500_000, 31_000_000)
    watcher.progress("GO", 1_600_000, None)
    assert capsys.readouterr().err.splitlines() == [
        "note: fetching GO, 31,000,000 bytes",
        "note: GO: 0 bytes of 31,000,000",
        "note: GO: 1,500,000 bytes of 31,000,000",
        "note: GO: 1,600,000 bytes",
    ]
