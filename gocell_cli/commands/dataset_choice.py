"""The data set that `--dataset`, `--phenotype`, `--order` and `--raw` choose, checked before anything is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.choices import DatasetName, Order, Temperature
from gocell_cli.commands.download_progress import download_progress
from gocell_cli.commands.terminal import note
from gocell_cli.errors import SourceMissing, UsageError

if TYPE_CHECKING:
    from gocell_cli.domain.genes import GeneTable
    from gocell_cli.domain.genotype import Dataset
    from gocell_cli.domain.simulation import Simulation
    from gocell_cli.sources.releases import Release

DEFAULT_PHENOTYPE = {
    DatasetName.KUZMIN2018: "tau",
    DatasetName.COSTANZO2016: "epsilon",
    DatasetName.ESSENTIALITY: "viability",
    DatasetName.SIMULATED: "simulated",
}


@dataclass(frozen=True)
class DatasetChoice:
    """What was chosen; `read` turns it into a Dataset."""

    name: DatasetName
    phenotype: str
    order: Order
    raw: Path | None
    root: Path
    offline: bool
    simulated: Mapping[str, int | float | None]
    temperature: Temperature | None = None

    def check(self) -> None:
        """Raise UsageError for a phenotype, order or file that the data set does not take."""
        given = [name for name, value in self.simulated.items() if value is not None]
        if given and self.name is not DatasetName.SIMULATED:
            raise UsageError(f"--{given[0]} is for simulated data", hint="--dataset simulated")
        if self.temperature is not None and self.name is not DatasetName.COSTANZO2016:
            raise UsageError("--temperature is for costanzo2016", hint="--dataset costanzo2016")
        if self.name is DatasetName.COSTANZO2016:
            self._check_costanzo2016()
            return
        if self.name is DatasetName.KUZMIN2018:
            from gocell_cli.sources.kuzmin2018 import choose_rows

            choose_rows(self.phenotype, self.order.value)
            return
        if self.phenotype != DEFAULT_PHENOTYPE[self.name]:
            raise UsageError(
                f"{self.name.value} has no phenotype {self.phenotype!r}",
                hint=f"--phenotype {DEFAULT_PHENOTYPE[self.name]}",
            )
        if self.raw is not None or self.order is not Order.ALL:
            raise UsageError(f"{self.name.value} takes neither --raw nor --order", hint="leave them out")
        if self.name is DatasetName.SIMULATED:
            self._simulation().check()

    def read(self, genes: "GeneTable") -> "Dataset | Simulation":
        """Read the data set; raises SourceMissing where its table is not to be had.

        A simulation is not read: it is drawn once the hierarchy is known.
        """
        if self.name is DatasetName.SIMULATED:
            return self._simulation()
        if self.name is DatasetName.COSTANZO2016:
            return self._costanzo2016(genes)
        if self.name is DatasetName.KUZMIN2018:
            from gocell_cli.sources.kuzmin2018 import read_kuzmin2018

            return read_kuzmin2018(self._table(), genes, phenotype=self.phenotype, order=self.order.value)
        from gocell_cli.sources.bundle import load_essential
        from gocell_cli.sources.essentiality import essentiality
        from gocell_cli.sources.releases import bundled_hash

        return essentiality(genes, load_essential(), {"essential": bundled_hash("essential")})

    def require_genes(self, release: "Release") -> None:
        """Raise InvalidInput where the release names no gene as the data set does; a simulation takes any."""
        from gocell_cli.sources.releases import require_orfs

        if self.name is not DatasetName.SIMULATED:
            require_orfs(release, self.name.value)

    def _check_costanzo2016(self) -> None:
        from gocell_cli.sources.costanzo2016 import check_phenotype

        check_phenotype(self.phenotype)
        if self.order is not Order.ALL:
            raise UsageError(f"{self.name.value} takes no --order", hint="leave it out; --phenotype smf is of singles")

    def _costanzo2016(self, genes: "GeneTable") -> "Dataset":
        from gocell_cli.sources.costanzo2016 import find_interaction_tables, read_costanzo2016
        from gocell_cli.sources.strain_fitness import find_strain_table, read_strain_fitness

        place = self.raw if self.raw is not None else self.root / "raw" / self.name.value
        temperature = (self.temperature or Temperature.BOTH).value
        if self.phenotype == "smf":
            return read_strain_fitness(find_strain_table(place), genes, temperature=temperature)
        tables = find_interaction_tables(place)
        if tables.missing:
            note(f"{place} holds no {', no '.join(tables.missing)}; the cache is built without", "warning")
        return read_costanzo2016(tables.paths, genes, phenotype=self.phenotype, temperature=temperature)

    def _simulation(self) -> "Simulation":
        from gocell_cli.domain.simulation import Simulation

        given: dict[str, Any] = {name: value for name, value in self.simulated.items() if value is not None}
        return Simulation(**given)

    def _table(self) -> Path:
        from gocell_cli.sources.catalog import KUZMIN2018
        from gocell_cli.sources.download import find_table

        if self.raw is None:
            with download_progress() as watcher:
                return find_table(KUZMIN2018, self.root, offline=self.offline, watcher=watcher)
        if not self.raw.is_dir():
            return self.raw
        named = self.raw / KUZMIN2018.file
        tables = [named] if named.is_file() else sorted(self.raw.glob("*.tsv*"))
        if len(tables) != 1:
            raise SourceMissing(
                f"{self.raw}: holds {len(tables)} tables, none of them named {KUZMIN2018.file}",
                hint="pass the table itself: --raw FILE",
            )
        return tables[0]
