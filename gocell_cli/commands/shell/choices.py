"""The values that options take. Spelled out here so that `gocell --help` need not import the rooms.

A test holds them equal to the constants of domain and storage.
"""

from enum import StrEnum


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
    ESSENTIALITY = "essentiality"
    SIMULATED = "simulated"
    TABLE = "table"


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


class Duplicates(StrEnum):
    """What becomes of several rows of one genotype."""

    MEAN = "mean"
    FIRST = "first"
    KEEP = "keep"


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


class Unannotated(StrEnum):
    """What happens to rows that delete a gene no term holds."""

    KEEP = "keep"
    DROP = "drop"
