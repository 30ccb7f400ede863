"""Whatever can delete a folder deletes only what is ours: every option, beside folders of every kind of stranger."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.merge import merge_parts
from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import UsageError
from gocell_cli.storage.staging import partial_directory, remove_partial
from tests.building.test_build import build_parts, contents, recut

Put = Callable[[Path, BuildPlan], None]


def thesis(out: Path, _: BuildPlan) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")


def another_programs_manifest(out: Path, _: BuildPlan) -> None:
    thesis(out, _)
    (out / "manifest.json").write_text('{"name": "a browser\'s extension", "version": 1}')


def cache_with_a_thesis(out: Path, plan: BuildPlan) -> None:
    build(recut(plan, 2), out, BuildMode())
    (out / "thesis.txt").write_text("years of work")


def cache_with_a_thesis_below(out: Path, plan: BuildPlan) -> None:
    build(recut(plan, 2), out, BuildMode())
    (out / "samples" / "part-00000.parquet.bak").write_text("years of work")


def cache_with_a_folder(out: Path, plan: BuildPlan) -> None:
    build(recut(plan, 2), out, BuildMode())
    (out / "thesis").mkdir()


def cache_with_a_linked_folder(out: Path, plan: BuildPlan) -> None:
    thesis(out.with_name("elsewhere"), plan)
    build(recut(plan, 2), out, BuildMode())
    (out / "samples").rename(out.with_name("moved"))
    (out / "samples").symlink_to(out.with_name("elsewhere"))


def plain_file(out: Path, _: BuildPlan) -> None:
    out.write_text("years of work")


def names_without_a_marker(out: Path, _: BuildPlan) -> None:
    (out / "samples").mkdir(parents=True)
    (out / "samples" / "part-00000.parquet").write_text("years of work")


STRANGERS = (
    thesis, another_programs_manifest, cache_with_a_thesis, cache_with_a_thesis_below, cache_with_a_folder,
    cache_with_a_linked_folder, plain_file, names_without_a_marker,
)  # fmt: skip


def everything(folder: Path) -> dict[str, bytes | str]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else "folder"
        for p in folder.rglob("*")
        if ".partial" not in str(p)
    }


@pytest.mark.parametrize("put", STRANGERS)
def test_overwrite_replaces_nothing_but_a_cache(toy_plan: BuildPlan, tmp_path: Path, put: Put) -> None:
    parts = build_parts(toy_plan, tmp_path, 2)
    out = tmp_path / "taken"
    put(out, toy_plan)
    before = everything(tmp_path)
    ways: list[Callable[[], object]] = [
        lambda: build(toy_plan, out, BuildMode(overwrite=True)),
        lambda: build(toy_plan, out, BuildMode(overwrite=True, resume=True)),
        lambda: build(toy_plan, out, BuildMode(overwrite=True, part=(0, 2))),
        lambda: build(toy_plan, out, BuildMode(resume=True)),
        lambda: merge_parts(parts, out, overwrite=True),
        lambda: merge_parts(parts, out),
    ]
    for way in ways:
        with pytest.raises(UsageError):
            way()
        assert everything(tmp_path) == before


def test_the_strange_file_is_named(toy_plan: BuildPlan, tmp_path: Path) -> None:
    cache_with_a_thesis(tmp_path / "taken", toy_plan)
    with pytest.raises(UsageError, match="holds what no cache does, so it is not replaced") as error:
        build(toy_plan, tmp_path / "taken", BuildMode(overwrite=True))
    assert error.value.why == "it holds thesis.txt"


def test_what_came_to_the_place_during_the_build_stays(toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "taken"

    def put_a_thesis(done: int, _total: int) -> None:
        if done == 1:
            thesis(out, toy_plan)

    with pytest.raises(UsageError, match="is no cache, so it is not replaced"):
        build(toy_plan, out, BuildMode(overwrite=True), put_a_thesis)
    assert contents(out) == {"thesis.txt": b"years of work"}
    (out / "thesis.txt").rename(tmp_path / "saved.txt")
    assert not build(toy_plan, out, BuildMode()).built  # it was finished, and only its name was missing
    assert contents(out) == contents(toy_cache)


@pytest.mark.parametrize("damage", ["manifest.json", "manifest.sha256", "samples/part-00000.parquet"])
@pytest.mark.parametrize("to", [b"", b"{", None])
def test_a_damaged_cache_is_still_ours(toy_cache: Path, toy_plan: BuildPlan, damage: str, to: bytes | None) -> None:
    whole = contents(toy_cache)
    if to is None:
        (toy_cache / damage).unlink()
    else:
        (toy_cache / damage).write_bytes(to)
    build(toy_plan, toy_cache, BuildMode(overwrite=True))
    assert contents(toy_cache) == whole


def test_a_part_is_not_replaced_by_what_is_made_of_it(toy_plan: BuildPlan, tmp_path: Path) -> None:
    parts = build_parts(toy_plan, tmp_path, 2)
    before = everything(tmp_path)
    with pytest.raises(UsageError, match="is one of the parts"):
        merge_parts(parts, parts[1], overwrite=True)
    assert everything(tmp_path) == before


def a_thesis_alone(partial: Path) -> None:
    (partial / "thesis.txt").write_text("years of work")


def a_thesis_beside_a_lock(partial: Path) -> None:
    (partial / "lock").touch()
    a_thesis_alone(partial)


def a_thesis_in_the_cache(partial: Path) -> None:
    (partial / "lock").touch()
    (partial / "cache").mkdir()
    a_thesis_alone(partial / "cache")


def a_lock_that_is_not_empty(partial: Path) -> None:
    (partial / "lock").write_text("years of work")


def our_names_without_a_lock(partial: Path) -> None:
    (partial / "plan.json").write_text(json.dumps({"fingerprint": "a", "command": "b"}))


@pytest.mark.parametrize(
    "put",
    [a_thesis_alone, a_thesis_beside_a_lock, a_thesis_in_the_cache, a_lock_that_is_not_empty, our_names_without_a_lock],
)
def test_a_partial_folder_of_another_stays(toy_plan: BuildPlan, tmp_path: Path, put: Callable[[Path], None]) -> None:
    out = tmp_path / "new"
    partial = partial_directory(out)
    partial.mkdir()
    put(partial)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="is not what a build left"):
        remove_partial(partial)
    for mode in (BuildMode(), BuildMode(overwrite=True), BuildMode(resume=True)):
        with pytest.raises(UsageError, match="is not what a build left"):
            build(toy_plan, out, mode)
    assert contents(tmp_path) == before


def test_a_linked_partial_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lock").touch()
    (tmp_path / "new.partial").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="a link or a file"):
        remove_partial(tmp_path / "new.partial")
    assert (tmp_path / "elsewhere" / "lock").exists()
