"""One reader for each data set that has a source: `find` its files, `read` them, and tell what was found."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gocell_cli.commands.shell.options import DatasetName
from gocell_cli.commands.shell.progress import download_progress
from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import SourceMissing

if TYPE_CHECKING:
    from gocell_cli.domain.genes import GeneTable
    from gocell_cli.domain.genotype import Dataset
    from gocell_cli.sources.download.find import Found
    from gocell_cli.sources.screens.kept_pieces import ReadAhead
    from gocell_cli.sources.screens.kuzmin import Study


class Selection(NamedTuple):
    """What is to be read, and where it lies: `own` is --raw's path, `root` the data root, `table` a table's options.

    `sample`: the bundled part of it. `reading`: how a long table is read, by processes and parts of a build.
    """

    dataset: DatasetName
    phenotypes: tuple[str, ...]
    order: str
    temperature: str
    table: Mapping[str, Any]
    own: Path | None
    root: Path
    offline: bool
    sample: bool
    reading: "ReadAhead | None" = None


def _kuzmin(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens import kuzmin

    study = kuzmin.STUDIES[chosen.dataset.value]
    paths = _sample(chosen) if chosen.sample else _kuzmin_tables(study, chosen)
    first, *others = chosen.phenotypes
    dataset = kuzmin.read(study, paths, genes, phenotype=first, order=chosen.order, others=others)
    trigenic = dataset.dropped.get("other_order", 0)
    if chosen.phenotypes == ("epsilon",) and trigenic:
        note(f"{dataset.name}: {trigenic:,} trigenic rows stay out of epsilon: {kuzmin.RAW_EPSILON}")
    return dataset


def _kuzmin_tables(study: "Study", chosen: Selection) -> tuple[Path, ...]:
    from gocell_cli.sources.screens import kuzmin

    try:
        with download_progress() as watcher:
            found = kuzmin.find(study, chosen.root, own=chosen.own, offline=chosen.offline, watcher=watcher)
    except SourceMissing as error:
        if study.name == DatasetName.KUZMIN2018.value:  # no network, say: there is something to begin with all the same
            error.hint += "; or --sample, the 15,095 free rows that come with gocell"
        raise
    _tell(found)
    return found.paths


def _sample(chosen: Selection) -> tuple[Path, ...]:
    from gocell_cli.sources.screens.bundled import SAMPLE

    note(f"--sample: 15,095 free rows of Data S1, which have no scores: the phenotype is {chosen.phenotypes[0]}")
    return (SAMPLE.path(),)


def _collins(genes: "GeneTable", _: Selection) -> "Dataset":
    from gocell_cli.sources.screens.bundled import read_collins

    return read_collins(genes)


def _costanzo(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens import costanzo

    phenotype, *others = chosen.phenotypes
    with download_progress() as watcher:
        found = costanzo.find(phenotype, chosen.root, own=chosen.own, offline=chosen.offline, watcher=watcher)
    _tell(found)
    return costanzo.read(found.paths, genes, phenotype=phenotype, temperature=chosen.temperature, others=others)


def _tell(found: "Found") -> None:
    """Say that the user's own files are taken as they are, and which are not among them."""
    if not found.own:
        return
    for path in filter(Path.is_file, found.paths):  # of one that is not there the reader tells
        note(f"{path}: your own file, taken as it is; its sha256 is not checked")
    if found.missing:
        folder = found.paths[0].parent
        note(f"{folder} holds no {', no '.join(found.missing)}; the cache is built without", "warning")


def _essentiality(genes: "GeneTable", _: Selection) -> "Dataset":
    from gocell_cli.sources.go.bundle import load_essential, load_genes
    from gocell_cli.sources.go.releases import bundled_hash
    from gocell_cli.sources.screens import essentiality

    return essentiality.read(genes, load_genes(), load_essential(), {"essential": bundled_hash("essential")})


_DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "bar": "|", "blank": " "}
"""What the words of --delimiter stand for, as in sources/screens/table_file.py."""


def _table(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens import kept_pieces, own_table, table_columns, table_file

    if chosen.own is None:
        raise SourceMissing("--dataset table needs its file", hint="--raw FILE.csv")
    given = chosen.table
    options = table_columns.TableOptions(
        phenotype=given["phenotype_column"],
        kinds=chosen.phenotypes,
        alleles=tuple(given["allele_column"] or ()),
        statistic=given["statistic_column"],
        statistic_kind=given["statistic_kind"].value if given["statistic_kind"] is not None else None,
        query=given["query_column"],
        group=given["group_column"],
        sheet=given["sheet"],
        genes=tuple(given["gene_column"] or ()),
        decimal=given["decimal"].value if given["decimal"] is not None else None,
        notation=given["notation"].value,
        blank_gene=given["blank_gene"].value,
        fitness=tuple(given["fitness_column"] or ()),
        form=table_file.TextForm(_DELIMITERS.get(given["delimiter"], ""), given["encoding"]),
    )
    dataset, notes = own_table.read(chosen.own, genes, options, chosen.reading or kept_pieces.INLINE)
    for text in notes:
        note(f"{chosen.own}: {text}")
    return dataset


def _cells(genes: "GeneTable", chosen: Selection) -> "Dataset":
    from gocell_cli.sources.screens import cell_matrices

    if chosen.own is None:
        raise SourceMissing("--dataset cells needs its folder", hint="--raw FOLDER")
    return cell_matrices.read(cell_matrices.find(chosen.own), genes, next(iter(chosen.phenotypes), None))


READERS: dict[DatasetName, Callable[["GeneTable", Selection], "Dataset"]] = {
    DatasetName.KUZMIN2018: _kuzmin,
    DatasetName.KUZMIN2020: _kuzmin,
    DatasetName.COSTANZO2016: _costanzo,
    DatasetName.COLLINS2007: _collins,
    DatasetName.ESSENTIALITY: _essentiality,
    DatasetName.TABLE: _table,
    DatasetName.CELLS: _cells,
}
