"""The data sets that `--dataset` and its options choose, checked before anything is read."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.build.dataset_readers import READERS, Selection
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.options import (
    Alleles,
    BlankGene,
    DatasetName,
    Duplicates,
    Notation,
    Order,
    Temperature,
)
from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from gocell_cli.domain.genes import GeneTable
    from gocell_cli.domain.genotype import Dataset
    from gocell_cli.domain.simulation import Simulation
    from gocell_cli.gene_channels import Channel
    from gocell_cli.sources.go.releases import Release
    from gocell_cli.sources.screens.kept_pieces import ReadAhead

KUZMIN, COSTANZO = (DatasetName.KUZMIN2018, DatasetName.KUZMIN2020), (DatasetName.COSTANZO2016,)
COLLINS, SIMULATED, TABLE = (DatasetName.COLLINS2007,), (DatasetName.SIMULATED,), (DatasetName.TABLE,)
CELLS = (DatasetName.CELLS,)
PHENOTYPES: dict[DatasetName, tuple[str, ...]] = {
    **dict.fromkeys(KUZMIN, ("tau", "epsilon", "fitness", "smf")),
    DatasetName.COSTANZO2016: ("epsilon", "fitness", "smf"),
    DatasetName.COLLINS2007: ("s_score",),
    DatasetName.ESSENTIALITY: ("viability",),
    DatasetName.SIMULATED: ("simulated",),
}
"""The phenotypes of each data set, its default first; a table's has any name."""
CELL_RESPONSE = "auc"
"""What the phenotype of cell lines is called: the area under the dose-response curve."""
SAMPLED = ("fitness", "smf")
"""The phenotypes of `--sample`, its default first: the scores of its rows are empty."""
WITH_SD = ("fitness",)
"""Published phenotypes that come with standard deviations of rows."""
SIMULATION = ("samples", "deletions", "seed", "epistasis", "noise", "panel")
TABLE_OPTIONS = (
    "phenotype_column",
    "allele_column",
    "statistic_column",
    "statistic_kind",
    "query_column",
    "group_column",
    "sheet",
    "gene_column",
    "delimiter",
    "decimal",
    "encoding",
    "notation",
    "blank_gene",
    "fitness_column",
)
TAKEN_BY = {
    "raw": (*KUZMIN, *COSTANZO, *TABLE, *CELLS),
    "sample": (DatasetName.KUZMIN2018,),
    "order": KUZMIN,
    "temperature": COSTANZO,
    "alleles": (*KUZMIN, *COSTANZO, *COLLINS, *TABLE),
    "max_p": (*KUZMIN, *COSTANZO, *TABLE),
    **dict.fromkeys(TABLE_OPTIONS, TABLE),
    "channel": TABLE,
    **dict.fromkeys(SIMULATION, SIMULATED),
}
"""The data sets that an option is about."""


@dataclass(frozen=True)
class DatasetChoice:
    """What was chosen, as the options have it; `read` turns it into one Dataset."""

    dataset: opt.Datasets = None
    raw: opt.Raw = None
    sample: opt.Sample = False
    phenotype: opt.PhenotypeOption = None
    order: opt.OrderOption = Order.ALL
    temperature: opt.TemperatureOption = Temperature.BOTH
    alleles: opt.AllelesOption = Alleles.ALL
    max_p: opt.MaxP = None
    phenotype_column: opt.PhenotypeColumn = None
    allele_column: opt.AlleleColumn = None
    statistic_column: opt.StatisticColumn = None
    statistic_kind: opt.StatisticKindOption = None
    query_column: opt.QueryColumn = None
    group_column: opt.GroupColumn = None
    sheet: opt.Sheet = None
    gene_column: opt.GeneColumn = None
    delimiter: opt.DelimiterOption = None
    decimal: opt.DecimalOption = None
    encoding: opt.Encoding = None
    notation: opt.NotationOption = Notation.LAB
    blank_gene: opt.BlankGeneOption = BlankGene.FEWER
    fitness_column: opt.FitnessColumn = None
    channel: opt.ChannelOption = None
    duplicates: opt.DuplicatesOption = Duplicates.MEAN
    samples: opt.Samples = None
    deletions: opt.Deletions = None
    seed: opt.Seed = None
    epistasis: opt.Epistasis = None
    noise: opt.Noise = None
    panel: opt.Panel = None

    @property
    def names(self) -> tuple[DatasetName, ...]:
        """The data sets, each once."""
        return tuple(dict.fromkeys(self.dataset or [DatasetName.ESSENTIALITY]))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The phenotypes: those asked for, each once, else the first data set's default."""
        if self.phenotype is None:
            return (self._phenotypes(self.names[0])[0],)
        return tuple(dict.fromkeys(word.strip() for word in self.phenotype.split(",")))

    def _kinds_of(self, name: DatasetName) -> tuple[str, ...]:
        """Those of the phenotypes that a data set has; of a table what it is asked for, () where its columns say."""
        if name not in PHENOTYPES:
            return self.kinds if self.phenotype is not None else ()
        return tuple(kind for kind in self.kinds if kind in self._phenotypes(name))

    def _phenotypes(self, name: DatasetName) -> tuple[str, ...]:
        """What can be asked of a data set, its default first; of a table its column, which may be called anything."""
        if name is DatasetName.KUZMIN2018 and self.sample:
            return SAMPLED
        if name is DatasetName.CELLS:
            return (self.phenotype or CELL_RESPONSE,)
        return PHENOTYPES.get(name, (self.phenotype_column or "phenotype",))

    @property
    def label(self) -> str:
        """The data sets' names, for a folder's name."""
        return "+".join(name.value for name in self.names)

    def check(self) -> None:
        """Raise UsageError for data sets that cannot be joined, and for an option or phenotype they do not take."""
        if len(self.names) > 1 and DatasetName.SIMULATED in self.names:
            raise UsageError("simulated data cannot be joined with others", hint="--dataset simulated alone")
        if len(self.names) > 1 and DatasetName.CELLS in self.names:
            raise UsageError("cells cannot be joined with others", hint="--dataset cells alone")
        if DatasetName.CELLS in self.names and len(self.kinds) > 1:
            raise UsageError(f"cells have one phenotype, not {', '.join(self.kinds)}", hint="--phenotype NAME")
        # Compared with a choice of defaults: only options that were given are refused.
        default = DatasetChoice()
        for option, takers in TAKEN_BY.items():
            if getattr(self, option) != getattr(default, option) and not set(takers) & set(self.names):
                about = " and ".join("simulated data" if t in SIMULATED else t.value for t in takers)
                raise UsageError(f"--{option.replace('_', '-')} is for {about}", hint=f"--dataset {takers[0].value}")
        self._check_phenotypes()
        published = set(self.names) - set(TABLE)
        if self.max_p is not None and published and not {"tau", "epsilon"} & set(self.kinds):
            raise UsageError(f"--max-p: {self.kinds[0]} has no P-value", hint="--phenotype tau|epsilon")
        self._check_weights()
        self._check_table()
        self._check_rows()

    def _check_phenotypes(self) -> None:
        """Raise UsageError for a phenotype that no data set has, for a data set that has none, and for empty words."""
        if not all(self.kinds):
            raise UsageError(f"--phenotype {self.phenotype}: a name is empty", hint="--phenotype fitness,tau")
        held = {kind for name in self.names for kind in self._kinds_of(name)}
        for name in self.names:
            lacking = [kind for kind in self.kinds if kind not in self._kinds_of(name)]
            if name not in PHENOTYPES or not (set(lacking) - held or len(lacking) == len(self.kinds)):
                continue
            kind = next((kind for kind in lacking if kind not in held), lacking[0])
            asked = f"{name.value}{' --sample' if self._phenotypes(name) == SAMPLED else ''}"
            hint = f"--phenotype {'|'.join(self._phenotypes(name))}"
            raise UsageError(f"{asked} has no phenotype {kind!r}", hint=hint)

    def _check_weights(self) -> None:
        """Raise UsageError where rows are to be weighed by standard deviations that they cannot have."""
        if self.duplicates is not Duplicates.INVERSE_VARIANCE:
            return
        from gocell_cli.domain.genotype import SD_HINT, refused_weights

        if self.names == TABLE and self.statistic_column is None:
            raise refused_weights(
                "which column of the table holds them?", "--statistic-column NAME --statistic-kind sd"
            )
        for name in set(self.names) - set(TABLE):
            if not set(self._kinds_of(name)) & set(WITH_SD):
                raise refused_weights(f"{name.value}, {' and '.join(self._kinds_of(name))}: it has none", SD_HINT)

    def _check_table(self) -> None:
        if self.query_column is not None and self.group_column is not None:
            raise UsageError("--query-column and --group-column both make query groups", hint="leave one of them out")
        if self.statistic_kind is not None and self.statistic_column is None:
            raise UsageError("--statistic-kind is of --statistic-column", hint="--statistic-column NAME")
        if self.encoding is not None:
            from gocell_cli.sources.screens.code_pages import require_code_page

            require_code_page(self.encoding)
        # Joined with others, a table may go without: what is left out is told when it is read.
        if self.names != TABLE:
            return
        if self.max_p is not None and self.statistic_column is None:
            raise UsageError("--max-p: which column of the table holds the P-value?", hint="--statistic-column NAME")

    def _check_rows(self) -> None:
        if set(KUZMIN) & set(self.names):
            from gocell_cli.sources.screens.kuzmin import choose_several

            for name in (name for name in KUZMIN if name in self.names):
                choose_several(self.label, self._kinds_of(name), self.order.value)
        # Read for its checks: an unclear --raw is told before anything is fetched.
        _ = self._places
        _ = self.channels()
        if DatasetName.SIMULATED in self.names:
            self._simulation.check()

    @cached_property
    def _places(self) -> dict[DatasetName, Path]:
        """The path of --raw for each data set that has one; raises UsageError where it is not clear whose it is."""
        takers = [name for name in self.names if name in TAKEN_BY["raw"]]
        places: dict[DatasetName, Path] = {}
        for text in self.raw or ():
            name, equals, path = text.partition("=")
            # `a=b.csv` may be a path: NAME=PATH only where NAME is a data set that was chosen.
            named = next((taker for taker in takers if equals and taker.value == name), None)
            if named is None and len(takers) > 1:
                raise UsageError(f"--raw {text}: of which data set?", hint=f"--raw {takers[0].value}=PATH")
            place = named or takers[0]
            if place in places:
                raise UsageError(f"--raw is given twice for {place.value}", hint="leave one out")
            places[place] = Path(path if named is not None else text)
        if self.sample and DatasetName.KUZMIN2018 in places:
            raise UsageError("--sample is bundled, --raw a file of your own", hint="leave one of them out")
        if DatasetName.TABLE in self.names and DatasetName.TABLE not in places:
            raise UsageError("--dataset table needs its file", hint="gocell build-cache FILE.csv")
        if DatasetName.CELLS in self.names and DatasetName.CELLS not in places:
            raise UsageError("--dataset cells needs its folder", hint="--raw FOLDER, with gene2ind.txt and the others")
        return places

    def channels(self) -> "tuple[Channel, ...]":
        """The channels of the cache: of --channel, or of the matrices of cells; () where genes are deleted or not.

        Raises UsageError for what is no channel, SourceMissing for a folder that lacks its files.
        """
        from gocell_cli.gene_channels import parse_channels

        if DatasetName.CELLS not in self.names:
            return parse_channels(self.channel or [])
        from gocell_cli.sources.screens import cell_matrices

        return cell_matrices.find(self._places[DatasetName.CELLS]).channels

    def table(self, genes: "GeneTable") -> "GeneTable":
        """The genes that the data sets' rows name: a gene table's, or where there are channels its inputs."""
        from gocell_cli.domain.input_genes import input_genes

        channels = self.channels()
        return input_genes(genes, channels).table if channels else genes

    def read(
        self, genes: "GeneTable", root: Path, *, offline: bool, reading: "ReadAhead | None" = None
    ) -> "Dataset | Simulation":
        """Read the data sets as one, a long table as `reading` says; raises SourceMissing where one is missing.

        A simulation is not read: it is drawn once the hierarchy is known.
        """
        if DatasetName.SIMULATED in self.names:
            return self._simulation
        from gocell_cli.domain.joined_datasets import join_datasets

        for name in self.names:
            lacking = [kind for kind in self.kinds if name in PHENOTYPES and kind not in self._kinds_of(name)]
            if lacking:
                note(f"{name.value} has no {', no '.join(lacking)}: its samples lack it")
        found = [self._read(name, genes, root, offline=offline, reading=reading) for name in self.names]
        return join_datasets(found, self.kinds if self.phenotype is not None else ())

    def _read(
        self, name: DatasetName, genes: "GeneTable", root: Path, *, offline: bool, reading: "ReadAhead | None"
    ) -> "Dataset":
        chosen = Selection(
            name,
            self._kinds_of(name),
            self.order.value,
            self.temperature.value,
            {option: getattr(self, option) for option in TABLE_OPTIONS},
            self._places.get(name),
            root,
            offline,
            self.sample and name is DatasetName.KUZMIN2018,
            reading,
        )
        dataset = READERS[name](genes, chosen)
        if self.alleles is Alleles.DELETION_ONLY and self._chosen_by(dataset, "alleles", _names_alleles(dataset)):
            from gocell_cli.domain.alleles import keep_deletions

            dataset = keep_deletions(dataset)
        has_p = any(phenotype.statistic == "p_value" for phenotype in dataset.phenotypes)
        if self.max_p is not None and self._chosen_by(dataset, "max_p", has_p):
            from gocell_cli.domain.genotype import keep_significant, labelled_rows

            before, dataset = labelled_rows(dataset), keep_significant(dataset, self.max_p)
            if dataset.others:
                _tell_significant(before, labelled_rows(dataset))
        return self._require_rows(dataset)

    def _chosen_by(self, dataset: "Dataset", option: str, known: bool) -> bool:
        """Whether an option chooses among a data set's rows; where they do not say what it asks for, that is told."""
        if dataset.name not in {taker.value for taker in TAKEN_BY[option]}:
            return False
        if not known and option == "alleles" and self.names == TABLE:
            raise UsageError("--alleles: which column of the table names the alleles?", hint="--allele-column NAME")
        if not known:
            what = {"alleles": "alleles (--allele-column)", "max_p": "P-value (--statistic-column)"}[option]
            note(f"--{option.replace('_', '-')}: all rows of {dataset.name} stay: it names no {what}", "warning")
        return known

    def _require_rows(self, dataset: "Dataset") -> "Dataset":
        """Return the data set; raises InvalidInput where --alleles or --max-p left nothing of it."""
        if len(dataset.measurements) or not dataset.rows_read:
            return dataset
        found = ", ".join(f"{n:,} {reason}" for reason, n in dataset.dropped.items())
        raise InvalidInput(
            f"{dataset.name}: none of its {dataset.rows_read:,} rows is left",
            why=f"rows dropped: {found}",
            hint="--alleles all, a higher --max-p, or the columns that name alleles and P-values",
        )

    def require_genes(self, release: "Release") -> None:
        """Raise InvalidInput where the release names no gene as the data sets do; simulations and tables take any."""
        from gocell_cli.sources.go.releases import require_orfs

        for name in self.names:
            if name not in (*SIMULATED, *TABLE, *CELLS):
                require_orfs(release, name.value)

    @cached_property
    def _simulation(self) -> "Simulation":
        from gocell_cli.domain.simulation import Simulation

        given: dict[str, Any] = {name: getattr(self, name) for name in SIMULATION if getattr(self, name) is not None}
        return Simulation(**given)


def _names_alleles(dataset: "Dataset") -> bool:
    """Whether a strain has an allele's name: of a table without a column of them strains are their genes alone."""
    return any(allele for _, allele in dataset.strains)


def _tell_significant(before: dict[str, int], left: dict[str, int]) -> None:
    """Say of each of several phenotypes how many rows --max-p left it."""
    told = ", ".join(f"{kind} of {left[kind]:,} of {rows:,} rows" for kind, rows in before.items())
    note(f"--max-p holds each phenotype to its own P-value; left: {told}", "build")
