"""The options that commands share, each with its values and help, so that a command's signature stays one line each."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gocell_cli.commands.shell.build_file import take_config
from gocell_cli.commands.shell.completion import complete_cache
from gocell_cli.commands.shell.gene_lists import list_file
from gocell_cli.commands.shell.places import caches_named
from gocell_cli.errors import UsageError

# The values that options take are spelled out here, so that `gocell --help` need not import the rooms that own them;
# a test holds them equal to the constants of domain and storage.


class ControlKind(StrEnum):
    """What of a hierarchy is drawn at random, as a control."""

    GENES = "genes"
    EDGES = "edges"
    DAG = "dag"


class LevelBy(StrEnum):
    """How terms are grouped."""

    STRATUM = "stratum"
    LEVEL = "level"
    DEPTH = "depth"
    HEIGHT = "height"


class Scope(StrEnum):
    """Which graph is verified."""

    ONTOLOGY = "ontology"
    HIERARCHY = "hierarchy"


class Preset(StrEnum):
    """Filter presets."""

    TRUE_PATH = "true-path"
    TORCHCELL = "torchcell"
    MA2018 = "ma2018"


class DatasetName(StrEnum):
    """Data sets that can be built."""

    KUZMIN2018 = "kuzmin2018"
    KUZMIN2020 = "kuzmin2020"
    COSTANZO2016 = "costanzo2016"
    COLLINS2007 = "collins2007"
    ESSENTIALITY = "essentiality"
    SIMULATED = "simulated"
    TABLE = "table"
    CELLS = "cells"


class SourceName(StrEnum):
    """What can be fetched."""

    GO = "go"
    ANNOTATIONS = "annotations"
    KUZMIN2018 = "kuzmin2018"
    KUZMIN2020 = "kuzmin2020"
    COSTANZO2016 = "costanzo2016"


class Order(StrEnum):
    """Which combined mutants of a data set are used."""

    ALL = "all"
    DIGENIC = "digenic"
    TRIGENIC = "trigenic"


class Temperature(StrEnum):
    """Degrees Celsius that costanzo2016 was measured at."""

    T26 = "26"
    T30 = "30"
    BOTH = "both"


class Alleles(StrEnum):
    """Which kinds of alleles are used."""

    ALL = "all"
    DELETION_ONLY = "deletion-only"


class StatisticKind(StrEnum):
    """What a table's statistic is."""

    P_VALUE = "p_value"
    SD = "sd"


class Duplicates(StrEnum):
    """What becomes of several rows of one genotype."""

    MEAN = "mean"
    INVERSE_VARIANCE = "inverse-variance"
    FIRST = "first"
    KEEP = "keep"


class Delimiter(StrEnum):
    """What separates the cells of a table of text."""

    TAB = "tab"
    COMMA = "comma"
    SEMICOLON = "semicolon"
    BAR = "bar"
    BLANK = "blank"


class Decimal(StrEnum):
    """The decimal mark of a table's numbers."""

    POINT = "point"
    COMMA = "comma"


class Notation(StrEnum):
    """Whether cells of genes hold strains as laboratories write them, or names of genes alone."""

    LAB = "lab"
    EXACT = "exact"


class BlankGene(StrEnum):
    """What an empty cell among several gene columns means."""

    FEWER = "fewer"
    REJECT = "reject"


class Backend(StrEnum):
    """Shard backends."""

    PARQUET = "parquet"
    LMDB = "lmdb"
    BOTH = "both"


class Executor(StrEnum):
    """Where shards are encoded."""

    LOCAL = "local"
    DASK = "dask"


class WidthBy(StrEnum):
    """Which genes a subsystem's width counts."""

    DIRECT = "direct"
    CONTAINED = "contained"


class GeneId(StrEnum):
    """Which names of a GAF are the genes'."""

    AUTO = "auto"
    SYSTEMATIC = "systematic"
    SYMBOL = "symbol"
    ID = "id"
    SYNONYM = "synonym"


class Redundant(StrEnum):
    """Which terms are redundant with a child."""

    CONTAINED = "contained"
    DIRECT = "direct"
    KEEP = "keep"


class HierarchyFormat(StrEnum):
    """Formats that a hierarchy is written in."""

    DDOT = "ddot"
    DRUGCELL = "drugcell"
    DCELL = "dcell"
    CX2 = "cx2"
    GRAPHML = "graphml"
    OBO = "obo"


class Unannotated(StrEnum):
    """What happens to rows that delete a gene no term holds."""

    KEEP = "keep"
    DROP = "drop"


Obo = Annotated[Path | None, typer.Option(help="OBO file, packed or not; default: the bundled GO.")]
Gaf = Annotated[Path | None, typer.Option(help="GAF 1.0-2.2 or GPAD 1.x-2.0; default: the bundled annotations.")]
Release = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="GO release YYYY-MM-DD, fetched where it is missing; default: --obo, --gaf."),
]
FetchRelease = Annotated[
    str | None, typer.Option("--release", metavar="DATE", help="GO release YYYY-MM-DD; default: the current one.")
]
HierarchyFile = Annotated[
    Path | None,
    typer.Option(
        "--hierarchy",
        help="Ready hierarchy instead of --obo and --gaf, used as it is: DDOT/DrugCell table (parent, child,"
        " default|gene), DCell topology (ROOT:/GENES:/TERMS:) or CX2 (NDEx, cellmaps), packed or not.",
    ),
]
FromHierarchy = Annotated[
    Path | None,
    typer.Option("--from", help="Write this ready hierarchy, of any format that --hierarchy of build-cache reads."),
]
# its first name is the one that files of settings know: there `hierarchy` is a file to read
FormatOption = Annotated[
    HierarchyFormat | None,
    typer.Option(
        "--hierarchy-format",
        "--hierarchy",
        help="Write the hierarchy instead of a table of samples: DDOT's table, DrugCell's, DCell's topology, CX2,"
        " GraphML or OBO.",
    ),
]
NoTables = Annotated[
    bool,
    typer.Option(
        "--no-tables", help="Write no gene2ind, cell2ind, cell2mutation and samples beside the hierarchy of a cache."
    ),
]
GeneIdOption = Annotated[
    GeneId,
    typer.Option(
        help="What the genes of --gaf are called: as in the gene table (systematic), or by its symbol, DB object id or"
        " first synonym; auto: systematic where half are genes of --gene-table or SGD's, else symbol, or id."
    ),
]
GeneTableFile = Annotated[
    Path | None,
    typer.Option(
        "--gene-table",
        help="All genes of the organism of --gaf or --hierarchy, GPI or TSV of id, symbol, synonyms: those without"
        " annotation are measured, not unknown. Default: SGD's, if the annotations are of them.",
    ),
]
Taxon = Annotated[
    str | None,
    typer.Option(help="Use only the GAF's rows of this taxon, such as 9606; default: the biggest, for yeast all."),
]
ExcludeEvidence = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated evidence codes to leave out, '' for none; default: the preset's, for true-path IGI,"
        " HGI and ND ('no biological data'; IGI,HGI keeps those rows); ma2018 IGI, HGI; torchcell IGI."
    ),
]
IncludeEvidence = Annotated[
    str | None, typer.Option(help="Comma-separated evidence codes, the only ones used, instead of leaving some out.")
]
Namespace = Annotated[
    str | None,
    typer.Option(help="Comma-separated namespaces, such as biological_process, the only ones used; default: all."),
]
RedundantOption = Annotated[
    Redundant | None,
    typer.Option(help="A term goes where its contained or its direct genes are a child's; default: the preset's."),
]
Genes = Annotated[
    Path | None,
    typer.Option(
        "--genes",
        callback=list_file,
        help="File (FILE or @FILE) with one gene a line, by any name: the only genes used.",
    ),
]
Relations = Annotated[
    str | None, typer.Option(help="Comma-separated relations; default: is_a, or those of the preset in use.")
]
PresetOption = Annotated[Preset, typer.Option(help="How the ontology is filtered to the hierarchy in use.")]
By = Annotated[LevelBy, typer.Option(help="The grouping whose verdict decides the exit code.")]
ScopeOption = Annotated[Scope, typer.Option(help="The whole ontology, or the hierarchy that a cache would use.")]
MaxFindings = Annotated[
    int | None, typer.Option(min=0, help="Offending edges to list; default: 20 in the table, all in JSON.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Root = Annotated[Path | None, typer.Option(help="Data root; default: $GOCELL_ROOT, else ./gocell_data.")]
OfSeveral = Annotated[
    str | None, typer.Option("--phenotype", help="Which of several phenotypes that one network predicts.")
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Cache to read, or a name of `cache ls`; default: the one ROOT/latest names.",
        autocompletion=complete_cache,
        callback=caches_named,
    ),
]

Datasets = Annotated[
    list[DatasetName] | None, typer.Option(help="Data set; essentiality, collins2007 and simulated need no file.")
]
Sample = Annotated[
    bool,
    typer.Option("--sample", help="Of kuzmin2018 the 15,095 free rows that come with gocell: fitness, no scores."),
]
Raw = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="The data set's table or the folder that holds it, NAME=PATH where there are several data sets;"
        " default: data root, then download.",
    ),
]
PhenotypeOption = Annotated[
    str | None,
    typer.Option(
        help="kuzmin2018, kuzmin2020: tau (default), epsilon, fitness or smf; costanzo2016: epsilon (default), fitness"
        " or smf; essentiality: viability; table, cells: what to call its phenotype. Several in one cache: fitness,tau."
    ),
]
OrderOption = Annotated[Order, typer.Option(help="Which combined mutants of kuzmin2018 are used.")]
TemperatureOption = Annotated[Temperature, typer.Option(help="Degrees Celsius of costanzo2016's measurements.")]
AllelesOption = Annotated[
    Alleles,
    typer.Option(
        help="deletion-only drops, and counts, rows with a temperature-sensitive or DAmP allele, of a suppressed"
        " strain, or with an allele of unknown kind; of a table those of --allele-column."
    ),
]
MaxP = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Drop, and count, rows of tau, epsilon or a table's phenotype with a higher P-value."
    ),
]
PhenotypeColumn = Annotated[
    str | None,
    typer.Option(
        help="table: the phenotype's column; default: the only other one, or the one that is called like one. Several:"
        " fitness,score."
    ),
]
GeneColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="table: the column of the deleted genes, or one for each gene: separated by commas, or given again;"
        " default: genes, gene_1, gene_2, .. or as laboratories call them (Gene A, ORF, Query gene).",
    ),
]
DelimiterOption = Annotated[
    Delimiter | None, typer.Option("--delimiter", help="table: what separates cells; default: what the header says.")
]
DecimalOption = Annotated[
    Decimal | None, typer.Option("--decimal", help="table: the decimal mark; default: what the numbers say.")
]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="table: the code page of a text, such as cp1253 (Greek Windows); default: UTF-8, or found."
    ),
]
NotationOption = Annotated[
    Notation,
    typer.Option(
        "--notation",
        help="table: lab finds the gene in smi1Δ, dcp1-delta, cdc28-4, HIS3::KanMX; exact takes names only.",
    ),
]
BlankGeneOption = Annotated[
    BlankGene,
    typer.Option(
        "--blank-gene", help="table: an empty cell of several gene columns is a strain of fewer deletions, or rejected."
    ),
]
TableArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[TABLE]", help="Your own table, as --dataset table --raw TABLE; - reads it from standard input."
    ),
]
AlleleColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="table: the alleles' column, or one for each of gene_1, gene_2, ..: separated by commas, or given again.",
    ),
]
FitnessColumn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="table: the two columns of the crossed strains' own fitness (wild type 1), in the gene columns' order:"
        " separated by commas, or given again.",
    ),
]
ChannelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        metavar="NAME[=BASE:STATE,...]",
        help="table: what of a gene may change, named behind it in its cells (TP53:mutation, YAL001C:dosage=0.5): one"
        " state (mutation), or the wild type's and others (dosage=1:0,0.5,2); may be given again.",
    ),
]
StatisticColumn = Annotated[
    str | None,
    typer.Option(
        help="table: the column of the P-value or standard deviation of the phenotype; of several: sd,p or sd,,p."
    ),
]
StatisticKindOption = Annotated[
    StatisticKind | None,
    typer.Option("--statistic-kind", help="What --statistic-column holds; default: what its header says."),
]
QueryColumn = Annotated[
    str | None,
    typer.Option(
        help="table: the column of the query gene of each row (it may be gene_1): its rows are a query group."
    ),
]
GroupColumn = Annotated[
    str | None, typer.Option(help="table: the column of any text by which rows are a query group, instead of a query.")
]
Sheet = Annotated[str | None, typer.Option(help="table: the sheet of a workbook; default: its first.")]
DuplicatesOption = Annotated[
    Duplicates,
    typer.Option(help="Rows of one genotype: their mean, that weighted by 1/SD^2, the first row, or a sample each."),
]
Samples = Annotated[int | None, typer.Option(min=1, help="Simulated: genotypes to draw; default 100000.")]
Deletions = Annotated[int | None, typer.Option(min=1, help="Simulated: deleted genes of each; default 3.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Simulated: of genotypes, teacher and noise; default 0.")]
Epistasis = Annotated[
    float | None, typer.Option(help="Simulated: share of variance that no additive model explains; default 0.5.")
]
Noise = Annotated[float | None, typer.Option(help="Simulated: share of variance that is noise; default 0.1.")]
Panel = Annotated[int | None, typer.Option(min=1, help="Simulated: genes that are ever deleted; default 1400.")]
MinGenes = Annotated[int | None, typer.Option(min=1, help="Fewest contained genes of a term; default: the preset's.")]
MoreThanChild = Annotated[
    int | None,
    typer.Option(
        "--more-than-child",
        min=0,
        help="A term has at least so many contained genes more than any child of it; DrugCell's rule is 30, with"
        " --min-genes 10. Default: 0, no such rule.",
    ),
]
Width = Annotated[WidthBy | None, typer.Option(help="Genes that a subsystem's width counts; default: the preset's.")]
ControlOption = Annotated[
    ControlKind | None,
    typer.Option(
        "--control",
        help="Build a control of the hierarchy: its genes' labels exchanged, its edges drawn (of equal degrees and"
        " levels), or a random DAG of its shape.",
    ),
]
ControlSeed = Annotated[int | None, typer.Option(min=0, help="What --control is drawn by; default 0.")]
LevelByOption = Annotated[
    LevelBy, typer.Option(help="The level of the cache: what a trainer runs at once, and mutant_state's second column.")
]
Until = Annotated[
    int | None, typer.Option(min=19000101, max=29991231, help="Leave out annotations newer than YYYYMMDD.")
]
UnannotatedOption = Annotated[Unannotated, typer.Option(help="Rows that delete a gene no term of the hierarchy holds.")]
BackendOption = Annotated[Backend, typer.Option(help="Parquet for scans, LMDB for random access by sample.")]
ShardSize = Annotated[int, typer.Option(min=1, help="Samples in a shard.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Default: ROOT/caches/DATASET-PHENOTYPE-FINGERPRINT.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands at the cache's place.")]
FetchSources = Annotated[list[SourceName] | None, typer.Argument(help="What to fetch; none: list what there is.")]
Mirror = Annotated[
    str | None, typer.Option(metavar="URL", help="Base URL to fetch from; default: $GOCELL_MIRROR, else the origin.")
]
AcceptChanged = Annotated[
    bool,
    typer.Option("--accept-changed", help="Take and record a file that differs from the one that was first used."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never download.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read and plan, forecast size and time from a trial, and write nothing.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted build; redo only what is missing.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        is_eager=True,
        callback=take_config,
        help="TOML file of these options, such as the one beside every cache; options given here win over it.",
    ),
]
Fingerprint = Annotated[
    str | None, typer.Option(help="Build only what has this fingerprint, or one that begins so; else exit code 4.")
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FILE.json",
        help="Keep where the build is in this file: phase, done, of how many.",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="A line on each phase, with its seconds.")]
Part = Annotated[
    str | None,
    typer.Option(
        help="Build only part I/N of the shards, I from 0, into OUT.part-I-of-N; then `gocell cache merge`."
        " In a SLURM array of 16: --part $SLURM_ARRAY_TASK_ID/16."
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes that read a long table of your own, and encode shards.")]
ExecutorOption = Annotated[Executor, typer.Option(help="Where shards are encoded; dask is the extra gocell\\[dask].")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a dask scheduler; default: a local cluster of --workers processes.")
]


def part_of(part: str | None) -> tuple[int, int] | None:
    """Parse `--part i/n`; raises UsageError unless 0 <= i < n."""
    if part is None:
        return None
    i, slash, n = part.partition("/")
    if not (slash and i.isdigit() and n.isdigit() and int(i) < int(n)):
        raise UsageError(f"--part {part}: not a part i/n with 0 <= i < n", hint="--part 0/4")
    return int(i), int(n)


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """Split a comma-separated option; None where it was not given."""
    if text is None:
        return None
    return tuple(word.strip() for word in text.split(",") if word.strip())
