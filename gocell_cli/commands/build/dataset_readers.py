"""One reader for each data set that has a source: it finds the files, reads them, and says what is missing."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gocell_cli.commands.shell.choices import DatasetName
from gocell_cli.commands.shell.progress import download_progress
from gocell_cli.commands.shell.terminal import note, unknown_names
from gocell_cli.errors import SourceMissing

if TYPE_CHECKING:
    from gocell_cli.domain.genes import GeneTable
    from gocell_cli.domain.genotype import Dataset


class Selection(NamedTuple):
    """What is to be read, and where it lies: `place` is --raw's path, `root` the data root."""

    phenotype: str | None
    order: str
    temperature: str
    phenotype_column: str | None
    place: Path | None
    root: Path
    offline: bool


def _kuzmin2018(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens.kuzmin2018 import read_kuzmin2018

    return read_kuzmin2018(_data_s1(chosen), genes, phenotype=str(chosen.phenotype), order=chosen.order)


def _data_s1(chosen: Selection) -> Path:
    from gocell_cli.sources.download.catalog import KUZMIN2018
    from gocell_cli.sources.download.files import find_table

    if chosen.place is None:
        with download_progress() as watcher:
            return find_table(KUZMIN2018, chosen.root, offline=chosen.offline, watcher=watcher)
    if not chosen.place.is_dir():
        return chosen.place
    named = chosen.place / KUZMIN2018.file
    tables = [named] if named.is_file() else sorted(chosen.place.glob("*.tsv*"))
    if len(tables) != 1:
        raise SourceMissing(
            f"{chosen.place}: holds {len(tables)} tables, none of them named {KUZMIN2018.file}",
            hint="pass the table itself: --raw FILE",
        )
    return tables[0]


def _kuzmin2020(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens.kuzmin2020 import NAME, find_workbooks, read_kuzmin2020

    tables = find_workbooks(_folder(NAME, chosen))
    return read_kuzmin2020(tables, genes, phenotype=str(chosen.phenotype), order=chosen.order)


def _costanzo2016(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens.costanzo import NAME, find_interaction_tables, read_costanzo2016
    from gocell_cli.sources.screens.strain_fitness import find_strain_table, read_strain_fitness

    place = _folder(NAME, chosen)
    if chosen.phenotype == "smf":
        return read_strain_fitness(find_strain_table(place), genes, temperature=chosen.temperature)
    tables = find_interaction_tables(place)
    if tables.missing:
        note(f"{place} holds no {', no '.join(tables.missing)}; the cache is built without", "warning")
    return read_costanzo2016(tables.paths, genes, phenotype=str(chosen.phenotype), temperature=chosen.temperature)


def _folder(name: str, chosen: Selection) -> Path:
    return chosen.place if chosen.place is not None else chosen.root / "raw" / name


def _essentiality(genes: "GeneTable", _: Selection) -> "Dataset":
    from gocell_cli.sources.go.bundle import load_essential
    from gocell_cli.sources.go.releases import bundled_hash
    from gocell_cli.sources.screens.essentiality import essentiality

    return essentiality(genes, load_essential(), {"essential": bundled_hash("essential")})


def _table(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens.own_table import read_phenotype_table

    if chosen.place is None:
        raise SourceMissing("--dataset table needs its file", hint="--raw FILE.csv")
    dataset, names = read_phenotype_table(chosen.place, genes, column=chosen.phenotype_column, kind=chosen.phenotype)
    found = f"{names.systematic:,} systematic names, {names.other:,} standard names or aliases"
    note(f"{chosen.place}: {found}{unknown_names(names.unknown)}")
    return dataset


READERS: dict[DatasetName, Callable[["GeneTable", Selection], "Dataset"]] = {
    DatasetName.KUZMIN2018: _kuzmin2018,
    DatasetName.KUZMIN2020: _kuzmin2020,
    DatasetName.COSTANZO2016: _costanzo2016,
    DatasetName.ESSENTIALITY: _essentiality,
    DatasetName.TABLE: _table,
}
