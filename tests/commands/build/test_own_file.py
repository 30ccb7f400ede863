"""`gocell build-cache screen.csv`: a table by its name alone, from any folder and from a pipe; what was not taken."""

import json
import subprocess
from pathlib import Path

import pytest

from gocell_cli.storage.reader import Cache
from tests.commands.fork_server import PROJECT, environment
from tests.commands.runners import GOCELL, document, failure, run

LINES = (
    "Gene A;Gene B;Fitness;Notes\nsmi1Δ;vth1-Δ;0,81;\ndcp1-delta;;0,93;\n01-Okt;tps1Δ;0,5;=1+1\ncdc28-4;tps1Δ;sick;\n"
)


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("her folder") / "my screen.csv"
    path.write_text(LINES, "utf-8")
    return path


def test_a_table_by_its_name_alone(screen: Path, tmp_path: Path) -> None:
    done = run("build-cache", screen.name, "--root", tmp_path / "root", "--json", cwd=screen.parent)
    assert done.returncode == 0, done.stderr
    assert "read as: cells between semicolons (--delimiter); decimal commas (--decimal)" in done.stderr
    summary = json.loads(done.stdout)
    assert (summary["dataset"], summary["phenotype"], summary["samples"]) == ("table", "fitness", 2)
    assert summary["dropped"] == {"date_for_gene": 1, "no_phenotype": 1}
    cache = screen.parent / summary["cache"]
    assert sorted(Cache(cache).sample(i).value for i in range(2)) == [0.81, 0.93]
    rejected = cache.with_name(f"{cache.name}.rejected.tsv")
    assert f"{rejected}: the 2 rows that were not taken" in done.stderr
    rows = [line.split("\t") for line in rejected.read_text("utf-8").splitlines()]
    assert rows[0] == ["line", "reason", "genes", "phenotype", "near"]
    assert [row[:4] for row in rows[1:]] == [
        ["4", "date_for_gene", "01-Okt + tps1Δ", "0,5"],
        ["5", "no_phenotype", "cdc28-4 + tps1Δ", "sick"],
    ]
    again = run("cache", "rebuild", cache, "--root", tmp_path / "root", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    taken_out = screen.with_name("clean.csv")
    taken_out.write_text("\n".join(LINES.splitlines()[:3]), "utf-8")
    words = ("build-cache", taken_out, "--out", cache, "--overwrite", "--root", tmp_path / "root")
    assert document(*words)["samples"] == 2
    assert not rejected.exists()


def test_a_table_from_a_pipe(screen: Path, tmp_path: Path) -> None:
    command = [GOCELL, "build-cache", "-", "--json"]
    done = subprocess.run(
        command,
        input=LINES.encode(),
        capture_output=True,
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(PROJECT)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    kept = list((tmp_path / "gocell_data" / "raw" / "piped").iterdir())
    assert [path.read_text("utf-8") for path in kept] == [LINES]
    assert summary["fingerprint"] == document("build-cache", screen, "--root", tmp_path / "root")["fingerprint"]
    empty = subprocess.run(
        command, input=b"", capture_output=True, cwd=tmp_path, env=environment(PYTHONPATH=str(PROJECT)), check=False
    )
    assert (empty.returncode, b"standard input is empty" in empty.stderr) == (4, True)
    assert list((tmp_path / "gocell_data" / "raw" / "piped").iterdir()) == kept


def test_alleles_that_are_no_deletions_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ORF,Fitness\nsmi1Δ,0.5\ncdc28-4,0.7\n", "utf-8")
    summary = document("build-cache", tmp_path / "t.csv", "--alleles", "deletion-only", "--root", tmp_path)
    assert (summary["samples"], summary["dropped"]) == (1, {"not_a_deletion": 1})
    (tmp_path / "t.csv").write_text("ORF,Fitness\nSMI1,0.5\n", "utf-8")
    error = failure("build-cache", tmp_path / "t.csv", "--alleles", "deletion-only", "--root", tmp_path)
    assert "which column of the table names the alleles?" in error.message


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("none.csv",), 6, "none.csv: cannot be read"),
        (("t.csv", "--encoding", "klingon"), 2, "--encoding klingon: no encoding of text"),
        (("t.csv", "--delimiter", "x"), 2, "Invalid value for '--delimiter'"),
        (("t.csv", "--gene-column", "x"), 4, "there is no gene column 'x'"),
        (("t.csv", "--dataset", "essentiality"), 2, "--raw is for"),
        (("t.csv", "--raw", "t.csv"), 2, "--raw is given twice for table"),
        (("-", "--dry-run"), 2, "--dry-run writes nothing"),
        (("--decimal", "comma"), 2, "--decimal is for table"),
    ],
)
def test_wrong_usages(tmp_path: Path, words: tuple[str, ...], code: int, told: str) -> None:
    (tmp_path / "t.csv").write_text(LINES, "utf-8")
    done = run("build-cache", *words, "--root", "root", cwd=tmp_path)
    assert (done.returncode, done.stderr.startswith("error: ")) == (code, True), done.stderr
    assert told in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
