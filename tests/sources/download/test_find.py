"""The one door: whatever the catalog lists is checked before it is read, fetched where missing, and only then used."""

import hashlib
from pathlib import Path

import pytest

from gocell_cli.commands.build.dataset_choice import PHENOTYPES, DatasetChoice
from gocell_cli.commands.shell.options import DatasetName
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset
from gocell_cli.errors import SourceMissing
from gocell_cli.sources.download.catalog import ANNOTATIONS, COSTANZO2016, GO, KUZMIN2018, SOURCES, of_release
from gocell_cli.sources.download.find import find
from gocell_cli.sources.download.lock import new_entry, record
from tests.commands.runners import failure
from tests.sources.conftest import files_under
from tests.sources.download.test_fetch_release import DATE, GAF_URL, OBO_URL, obo
from tests.sources.download.test_files import MANY
from tests.sources.http_server import LocalSite, zip_of

MADE_UP = b"made up\n"
READERS = {
    **{
        (name, phenotype): ("build-cache", "--dataset", name, "--phenotype", phenotype)
        for name, phenotypes in PHENOTYPES.items()
        for phenotype in phenotypes
        if name.value in SOURCES
    },
    ("go", "release"): ("verify-levels", "--release", DATE),
    ("annotations", "release"): ("build-cache", "--release", DATE),
}
"""Every command that reads a source of the catalog, by source and what is read of it."""


def test_every_source_has_a_reader_and_every_data_set_a_source_or_none() -> None:
    assert {str(source) for source, _ in READERS} == set(SOURCES)
    without = {"collins2007", "essentiality", "table", "cells", "simulated"}  # bundled, or the user's own files
    assert {name.value for name in DatasetName} - set(SOURCES) == without


@pytest.fixture(params=READERS, ids="-".join)
def reading(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    """A source's name, and a command that reads it."""
    return str(request.param[0]), READERS[request.param]


def place_all(root: Path, name: str) -> None:
    """Every file of a source with made-up content; those without a published sha256 were something else at first."""
    for source in (GO, ANNOTATIONS) if name in ("go", "annotations") else (SOURCES[name],):
        dated = of_release(source, DATE) if source.release is not None else source
        for file in dated.files:
            path = root / "raw" / dated.folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(MADE_UP)
            if file.sha256 is None and source.name == name:
                record(root, f"{dated.folder}/{file.name}", new_entry(None, "0" * 64, 3, None))


@pytest.mark.parametrize("offline", [True, False])
def test_a_made_up_file_in_the_data_root_is_refused(
    mirror: LocalSite, tmp_path: Path, reading: tuple[str, tuple[str, ...]], offline: bool
) -> None:
    name, words = reading
    place_all(tmp_path, name)
    before = files_under(tmp_path)
    error = failure(*words, "--root", tmp_path, *(["--offline"] if offline else []))
    assert isinstance(error, SourceMissing)
    assert hashlib.sha256(MADE_UP).hexdigest() in error.why
    assert name in error.message
    assert files_under(tmp_path) == before
    assert mirror.requests == []


def test_what_is_missing_is_asked_for_once_and_offline_never(
    mirror: LocalSite, tmp_path: Path, reading: tuple[str, tuple[str, ...]]
) -> None:
    name, words = reading
    error = failure(*words, "--root", tmp_path, "--offline")
    assert isinstance(error, SourceMissing)
    assert "--offline was given" in error.why
    assert mirror.requests == []
    url = {"go": OBO_URL, "annotations": GAF_URL}.get(name, f"/{SOURCES[name].mirror_path}")
    mirror.files[OBO_URL] = obo()
    mirror.files[url] = zip_of({file.name: MADE_UP for file in SOURCES[name].files}) if ".zip" in url else b"no such"
    error = failure(*words, "--root", tmp_path)
    assert isinstance(error, SourceMissing)
    assert error.exit_code == 6
    assert mirror.requests[-1] == url
    assert not [path for path in files_under(tmp_path) if "go-basic" not in path and path != "sources.lock.json"]


def test_files_by_name_need_not_be_all(mirror: LocalSite, tmp_path: Path) -> None:
    folder = tmp_path / "raw" / COSTANZO2016.name
    folder.mkdir(parents=True)
    strains = folder / "strain_ids_and_single_mutant_fitness.xlsx"
    strains.write_bytes(MADE_UP)
    assert find(COSTANZO2016, tmp_path, (strains.name,), offline=True).paths == (strains,)
    strains.write_bytes(b"changed")  # it was recorded at first use
    with pytest.raises(SourceMissing, match="not the file that was first used"):
        find(COSTANZO2016, tmp_path, (strains.name,), offline=True)
    assert mirror.requests == []


def test_an_optional_file_that_the_archive_lacks_is_said(mirror: LocalSite, tmp_path: Path) -> None:
    mirror.files["/toy.zip"] = zip_of({"A.txt": b"a", "B.xlsx": b"b"})
    with pytest.raises(SourceMissing, match=r"extra\.xlsx is not to be had") as caught:
        find(MANY, tmp_path, ("extra.xlsx",))
    assert "--raw FILE" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["Data S1.tsv", "aao1729_data_s1.tsv", "aao1729_data_s1.tsv.gz", "science-aao1729_data_s1.tsv"]
)
def test_the_users_own_file_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / name).write_bytes(MADE_UP)
    for place in (own, own / name):
        found = find(KUZMIN2018, tmp_path / "root", own=place)
        assert (found.paths, found.missing, found.own) == ((own / name,), (), True)
    assert not (tmp_path / "root").exists()


def test_a_folder_of_the_users_without_the_file_is_said(tmp_path: Path) -> None:
    for extra in ("a.tsv", "b.tsv"):
        (tmp_path / extra).write_bytes(MADE_UP)
    with pytest.raises(SourceMissing, match=r"aao1729_data_s1\.tsv of kuzmin2018 not there") as caught:
        find(KUZMIN2018, tmp_path / "root", own=tmp_path)
    assert "--raw FILE" in caught.value.hint


def test_the_users_own_file_is_told_on_stderr(
    tmp_path: Path, toy_table: Path, toy_genes: GeneTable, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = DatasetChoice([DatasetName.KUZMIN2018], [str(toy_table)], phenotype="fitness")
    dataset = choice.read(toy_genes, tmp_path / "root", offline=True)
    assert isinstance(dataset, Dataset)
    assert len(dataset.measurements) == 3
    told = capsys.readouterr()
    assert f"{toy_table}: your own file, taken as it is; its sha256 is not checked" in told.err
    assert told.out == ""
    assert not (tmp_path / "root").exists()
