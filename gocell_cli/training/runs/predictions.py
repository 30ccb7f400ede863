"""test.parquet: what a run predicts of its test part, a row a sample, so that runs are compared without their caches.

`evaluating.sample_table` makes it; `recorded_predictions` reads what `gocell compare` needs of it. No torch.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float64

from gocell_cli.errors import DamagedCache
from gocell_cli.file_record import FileRecord, record_file
from gocell_cli.run_record import NETWORK, RunRecord
from gocell_cli.whole_file import whole_file

PREDICTIONS = "test.parquet"
DESCRIBED = ("sample", "genes", "order", "untrained_genes", "part", "query_group", "value")
"""The columns that are no predictions."""
AGAIN = "train it again: gocell train --out DIR"


@dataclass(frozen=True)
class Predictions:
    """The samples of a test part that have a label: genotypes by systematic names, query groups by name (null: none).

    `predicted` are predictions by column: the network's is called NETWORK, those of other voices and of baselines by
    their names.
    """

    genes: pa.StringArray
    group: pa.DictionaryArray
    value: Float64[np.ndarray, " n"]
    predicted: dict[str, Float64[np.ndarray, " n"]]

    @classmethod
    def of(cls, table: pa.Table) -> "Predictions":
        """Take them from a table of samples; raises KeyError, ValueError or an Arrow error where it is none."""
        table = table.filter(pc.is_valid(table.column("value")))
        names = [name for name in table.column_names if name not in DESCRIBED]
        columns = {name: _numbers(table.column(name)) for name in ("value", *names)}
        genes = pc.cast(table.column("genes"), pa.string()).combine_chunks()
        coded = table.column("query_group")
        group = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
        group = group.unify_dictionaries().combine_chunks()
        if NETWORK not in names or not all(np.isfinite(column).all() for column in columns.values()):
            raise ValueError("its predictions are not numbers, or there are none")
        return cls(genes, group, columns.pop("value"), columns)

    def __len__(self) -> int:
        return len(self.value)


def _numbers(column: pa.ChunkedArray) -> Float64[np.ndarray, " n"]:
    found: np.ndarray = pc.cast(column, pa.float64()).to_numpy()
    return found


def predictions_file(number: int = 0) -> str:
    """Return the name of the table of one phenotype: test.parquet, test_1.parquet ... of those after the first."""
    return PREDICTIONS.replace(".", f"_{number}.") if number else PREDICTIONS


def write_predictions(directory: Path, table: pa.Table, number: int = 0) -> FileRecord:
    """Write a run's table of its test part, and return what is recorded of the file; number: of which phenotype."""
    path = directory / predictions_file(number)
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return record_file(directory, path)


def recorded_predictions(directory: Path, record: RunRecord) -> Predictions | None:
    """Return what a run keeps of its test part, None for one of before runs kept it.

    Raises DamagedCache where the file is not as it was recorded.
    """
    if record.predictions is None:
        return None
    path = directory / Path(record.predictions.path).name
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != record.predictions.sha256:
                raise DamagedCache(f"{path}: damaged: its sha256 is not the one recorded", hint=AGAIN)
        # not pq.read_table: it loads Arrow's datasets, and pandas where that is installed
        with pq.ParquetFile(path) as file:
            return Predictions.of(file.read())
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DamagedCache(f"{path}: cannot be read: {error}", hint=AGAIN) from error
