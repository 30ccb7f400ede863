"""Settings in variables and files: who wins, what is shown, what is refused; from the real console script."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import typer

from gocell_cli.commands.shell.settings import NOT_OF_A_FOLDER, Option, meanings, options
from gocell_cli.commands.tree import mounted
from tests.commands.conftest import Built
from tests.commands.runners import run


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A working folder inside a project, and variables that put the user's file under tmp_path."""
    work = tmp_path / "project" / "deeper"
    work.mkdir(parents=True)
    (tmp_path / "home" / ".config" / "gocell").mkdir(parents=True)
    return work, {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config")}


def _in_effect(work: Path, variables: dict[str, str], *words: object) -> dict[str, Any]:
    process = run("config", "show", *words, "--json", cwd=work, **variables)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def _value(shown: dict[str, Any], command: str, option: str) -> tuple[Any, str]:
    return next(
        (s["value"], s["origin"]) for s in shown["settings"] if (s["command"], s["option"]) == (command, option)
    )


def test_variable_over_project_over_user_over_default(folders: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    work, home = folders
    user, project = tmp_path / "home/.config/gocell/config.toml", work.parent / "gocell.toml"
    assert _value(_in_effect(work, home, "--all"), "build-cache", "preset") == ("true-path", "default")
    user.write_text('preset = "ma2018"\n')
    assert _value(_in_effect(work, home), "build-cache", "preset") == ("ma2018", str(user))
    project.write_text('[build-cache]\npreset = "torchcell"\nmin-genes = 5\n')
    assert _value(_in_effect(work, home), "build-cache", "preset") == ("torchcell", str(project))
    assert _value(_in_effect(work, home), "build-cache", "min-genes") == ("5", str(project))
    assert _value(_in_effect(work, home), "verify-levels", "preset") == ("ma2018", str(user))
    variables = {**home, "GOCELL_PRESET": "true-path"}
    assert _value(_in_effect(work, variables), "build-cache", "preset") == ("true-path", "GOCELL_PRESET")
    variables["GOCELL_BUILD_CACHE_PRESET"] = "ma2018"
    assert _value(_in_effect(work, variables), "build-cache", "preset") == ("ma2018", "GOCELL_BUILD_CACHE_PRESET")
    assert _value(_in_effect(work, variables), "verify-levels", "preset") == ("true-path", "GOCELL_PRESET")


def test_settings_do_what_the_option_does_and_the_option_wins(folders: tuple[Path, dict[str, str]]) -> None:
    work, home = folders
    (work.parent / "gocell.toml").write_text('[verify-levels]\nby = "level"\nrelations = "is_a,part_of"\njson = true\n')
    process = run("verify-levels", cwd=work, **home)
    assert process.returncode == 3
    found = json.loads(process.stdout)
    assert (found["by"], set(found["ontology"]["edges"])) == ("level", {"is_a", "part_of"})
    flagged = run("verify-levels", "--by", "stratum", cwd=work, **home)
    assert (flagged.returncode, json.loads(flagged.stdout)["by"]) == (0, "stratum")


def test_paths_in_a_file_are_relative_to_it(folders: tuple[Path, dict[str, str]], essentiality: Built) -> None:
    work, home = folders
    (work.parent / "data").symlink_to(essentiality.cache)
    (work.parent / "gocell.toml").write_text('cache = "data"\n[inspect]\ntop = 3\n')
    shown = _in_effect(work, home, "inspect", "sample")
    assert [(s["command"], s["option"], s["value"]) for s in shown["settings"]] == [
        ("inspect sample", "cache", str(work.parent / "data"))
    ]
    (work.parent / "gocell.toml").write_text(
        'cache = "data"\n[build-cache]\nraw = ["table=a=b.csv", "c.csv"]\n[inspect]\ntop = 3\n'
    )
    raw, _ = _value(_in_effect(work, home, "build-cache"), "build-cache", "raw")
    assert raw == [f"table={work.parent}/a=b.csv", f"{work.parent}/c.csv"]
    process = run("inspect", "sample", "0", "--json", cwd=work, **home)
    assert json.loads(process.stdout)["genes"] == ["Q0045"]
    assert "... " not in run("inspect", "samples", cwd=work, **home).stdout
    assert len(run("inspect", "samples", cwd=work, **home).stdout.splitlines()) == 2 + 3


def test_a_runs_own_config_wins_over_standing_settings(folders: tuple[Path, dict[str, str]], small_cache: Path) -> None:
    work, home = folders
    (work.parent / "gocell.toml").write_text("[train]\nepochs = 7\nseed = 3\nbatch-size = 512\n")
    own = "gene_weights = 'own'\ninit_range = 0.5"  # one step moves no column that starts at 0, of which it would warn
    (work / "run.toml").write_text(f"epochs = 1\nmin_width = 2\npopulation_samples = 512\n{own}\n")
    process = run(
        "train", small_cache, "--out", "run", "--config", "run.toml", "--seed", 5, "--quiet", cwd=work, **home
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "run\n", "")
    config = (work / "run" / "config.toml").read_text().splitlines()
    assert {"epochs = 1", "seed = 5", "batch_size = 512", "min_width = 2"} <= set(config)


def test_a_splits_file_lies_beside_the_toml_file_that_names_it(
    folders: tuple[Path, dict[str, str]], small_cache: Path
) -> None:
    work, home = folders
    (work / "plans").mkdir()
    (work / "plans" / "run.toml").write_text(
        'epochs = 1\nmin_width = 2\nratio = 0.0\nsplit = "./folds.csv"\nfold = 1\n'
    )
    (work / "plans" / "folds.csv").write_text("genes,fold\nYAL001C,0\nYAL002W,1\nYAL003W,2\n")
    process = run("train", small_cache, "--out", "run", "--config", "plans/run.toml", "--json", cwd=work, **home)
    assert process.returncode == 0, process.stderr
    assert f'split = "{work}/plans/folds.csv"' in (work / "run" / "config.toml").read_text()
    split = json.loads(process.stdout)["record"]["split"]
    assert (split["train"], split["validation"], split["test"]) == (12, 12, 12)


def test_a_key_of_several_commands_means_one_thing_or_is_refused() -> None:
    """A setting reaches every command that has an option of its name: what fits one must not break another."""
    by_name: dict[str, list[Option]] = {}
    for option in options(typer.main.get_command(mounted())):
        by_name.setdefault(option.long, []).append(option)
    # explain sorts terms of a network, inspect terms those that the samples hit
    assert {name for name, found in by_name.items() if len(meanings(found)) > 1} == {"genes", "sort"}
    assert {o.words for o in by_name["split"]} == {("train",), ("sweep",), ("inspect", "split")}  # evaluate's is --part
    assert ("export",) not in {
        o.words for o in by_name["hierarchy"]
    }  # its --hierarchy is a format, and goes by another name
    assert {o.words for o in by_name["samples"]} == {("build-cache",)}  # explain's is --rlipp-samples


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (
            '\ngenes = "panel.txt"\n',
            2,
            "'genes' means one thing in verify-levels, another in predict",
            "[verify-levels]",
        ),
        ('sort = "hits"\n', 1, "'sort' means one thing in explain, another in inspect terms", "[explain]"),
        ('[build-cache]\n\npreste = "ma2018"\n', 3, "build-cache has no option 'preste'", "did you mean preset"),
        ("rooot = 1\n", 1, "no command has an option 'rooot'", "did you mean root"),
        ("[bild-cache]\nmin-genes = 3\n", 1, "no command has an option 'bild-cache'", "did you mean build-cache"),
        ("root = \n", None, "not a TOML file", ""),
        ('config = "a.toml"\n', 1, "no command has an option 'config'", ""),
    ],
)
def test_a_key_that_means_nothing_is_refused(
    folders: tuple[Path, dict[str, str]], text: str, line: int | None, message: str, hint: str
) -> None:
    work, home = folders
    path = work.parent / "gocell.toml"
    path.write_text(text)
    process = run("verify-levels", cwd=work, **home)
    assert (process.returncode, process.stdout) == (4, "")
    assert f"{path}:{line}: {message}" if line else message in process.stderr
    assert message in process.stderr
    assert hint in process.stderr


def test_a_value_that_cannot_be_says_where_settings_come_from(folders: tuple[Path, dict[str, str]]) -> None:
    work, home = folders
    process = run("verify-levels", cwd=work, **home, GOCELL_PRESET="nonsense")
    assert process.returncode == 2
    assert "gocell config show" in process.stderr


def test_an_unknown_variable_is_told(folders: tuple[Path, dict[str, str]]) -> None:
    work, home = folders
    process = run("cache", "ls", cwd=work, **home, GOCELL_PRESETT="ma2018", GOCELL_TEST_DATA="x", GOCELL_MIRROR="y")
    assert process.returncode == 0
    assert "GOCELL_PRESETT" in process.stderr
    assert "GOCELL_TEST_DATA" not in process.stderr
    assert "GOCELL_MIRROR" not in process.stderr


def test_people_read_the_same(folders: tuple[Path, dict[str, str]]) -> None:
    work, home = folders
    assert "no settings" in run("config", "show", cwd=work, **home).stdout
    shown = run("config", "show", "build-cache", cwd=work, **home, GOCELL_PRESET="ma2018").stdout
    assert ["build-cache", "--preset", "ma2018", "GOCELL_PRESET"] in [line.split() for line in shown.splitlines()]
    wrong = run("config", "show", "bild-cache", cwd=work, **home)
    assert wrong.returncode == 2
    assert "did you mean build-cache" in wrong.stderr


def test_a_value_that_a_terminal_would_obey_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gocell.toml").write_text('phenotype = "\\u001b[31m"\n', "utf-8")
    process = run("build-cache", "--help", cwd=tmp_path)
    assert (process.returncode, "\x1b" in process.stdout + process.stderr) == (4, False)
    assert "the value of phenotype holds a control character" in process.stderr
    shown = run("build-cache", "--help", cwd=tmp_path.parent, GOCELL_PHENOTYPE="rate [/h]").stdout
    assert "[default: rate [/h]" in shown


FROM_A_FOLDER = (
    '[build-cache]\nexecutor = "dask"\nscheduler = "tcp://evil:8786"\n',
    'scheduler = "tcp://evil:8786"\n',
    '[fetch]\nmirror = "http://evil"\n',
    'root = "/somewhere"\n',
    'out = "/somewhere"\n',
    '[compare]\nfigure = "/somewhere"\n',
    "[build-cache]\noverwrite = true\n",
    "[cache.prune]\nyes = true\n",
    "[fetch]\naccept-changed = true\n",
    "[fetch]\naccept_changed = true\n",
    '[train]\nset = ["epochs=1", " wandb = \'evil\'"]\n',
)


@pytest.mark.parametrize("text", FROM_A_FOLDER)
def test_a_folders_file_says_neither_where_things_run_nor_where_data_come_from_or_go(
    folders: tuple[Path, dict[str, str]], tmp_path: Path, text: str
) -> None:
    work, home = folders
    path, user = work.parent / "gocell.toml", tmp_path / "home/.config/gocell/config.toml"
    path.write_text(text)
    found = run("cache", "ls", cwd=work, **home)
    assert (found.returncode, found.stdout) == (4, "")
    assert f"{path}:{1 if text[0] != '[' else 2}: " in found.stderr
    assert "which no file found in a folder may say" in found.stderr
    assert f"hint: move the line to your own {user}, or take it out and give --" in found.stderr
    path.unlink()
    user.write_text(text)
    assert run("config", "show", cwd=work, **home).returncode == 0


def test_every_option_that_takes_a_place_is_looked_at_here() -> None:
    """A new option that names a place or a machine must be allowed or refused on purpose."""
    known = options(typer.main.get_command(mounted()))
    data = {
        "cache",
        "control-runs",
        "from",
        "gaf",
        "gene-table",
        "gene-vectors",
        "genes",
        "hierarchy",
        "input",
        "obo",
        "sgd",
    }  # only read, and as data
    assert {o.long for o in known if o.path} - set(NOT_OF_A_FOLDER) == data
    assert set(NOT_OF_A_FOLDER) <= {o.long for o in known}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = " + b"[" * 100_000, "not a TOML file (nested too deeply)"),
        (b"a = " + b"{a=" * 5_000, "not a TOML file (nested too deeply)"),
        (b"a" + b".a" * 100_000 + b" = 1", "not a TOML file (nested too deeply)"),
        (b"[build-cache]\nobo = ['a']", "'obo' takes one value, not a list"),
        (b"[build-cache]\nraw = [['a']]", "'raw' takes text, numbers or a list of them, not a list"),
        (b"[build-cache]\nobo = {a = 1}", "'obo' takes one value, not a table"),
        (b"[build-cache]\nobo = 1979-05-27", "'obo' takes one value, not a date or a time"),
        (b"[build-cache]\nnoise = nan", "'noise' takes one value, not nan"),
        (b"[build-cache]\nnoise = -inf", "'noise' takes one value, not -inf"),
        (b"\xff\xfep\x00", "not a TOML file, which is UTF-8"),
        (b"a = '\xff'", "not a TOML file, which is UTF-8"),
        (b'phenotype = "a\xe2\x80\xaeb"', "the value of phenotype holds a control character"),
        (b"a = 1\na = 2", "not a TOML file (Cannot overwrite a value"),
        (b"a = " + b"1" * 5000, "not a TOML file (Exceeds the limit"),
        (b"#" * (1 << 20) + b"\n", "not a TOML file (1,048,577 bytes"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_one_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "gocell.toml").write_bytes(data)
    found = run("cache", "ls", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (4, "")
    assert message in found.stderr
    assert len(found.stderr.splitlines()) <= 2


def test_a_pipe_is_no_settings_file_and_a_byte_order_mark_no_fault(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gocell.toml")
    found = run("cache", "ls", cwd=tmp_path)
    assert (found.returncode, "not a regular file" in found.stderr) == (4, True)
    (tmp_path / "gocell.toml").unlink()
    (tmp_path / "gocell.toml").write_text("\ufeff[inspect.samples]\ntop = 3\n", "utf-8")
    assert _value(_in_effect(tmp_path, {}), "inspect samples", "top") == ("3", str(tmp_path / "gocell.toml"))


def test_a_variable_that_no_shell_could_split_is_one_error(tmp_path: Path) -> None:
    found = run("cache", "ls", cwd=tmp_path, GOCELL_RAW="'")
    assert found.returncode == 4
    assert found.stderr.startswith("error: GOCELL_RAW: no words of a shell (No closing quotation)\nhint: ")
