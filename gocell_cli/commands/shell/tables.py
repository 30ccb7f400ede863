"""Tables of results as files: Parquet, or text, tab- or comma-separated, that a spreadsheet computes nothing of."""

from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.user_text import cell
from gocell_cli.whole_file import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

NEEDS_QUOTES = r'["\r\n]'


def write_table(table: "pa.Table", out: Path) -> None:
    """Write a table, whole or not at all: .parquet, .csv, else tab-separated text."""
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    with whole_file(out) as temporary:
        if out.suffix == ".parquet":
            pq.write_table(table, temporary)
            return
        mark = "," if out.suffix == ".csv" else "\t"
        plain, quoted = _as_text(table, mark)
        with temporary.open("wb") as file:
            file.write((mark.join(plain.column_names) + "\n").encode())  # Arrow would put it into quotes
            # "needed" quotes every text, whether it needs to be or not
            style = "needed" if quoted else "none"
            pa_csv.write_csv(
                plain, file, pa_csv.WriteOptions(include_header=False, delimiter=mark, quoting_style=style)
            )


def _as_text(table: "pa.Table", mark: str) -> tuple["pa.Table", bool]:
    """Return a table without coded columns, its texts as cells of their own, and whether one of them needs quotes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    quoted = False
    for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        coded = pa.types.is_dictionary(column.type)
        if coded or pa.types.is_string(column.type):
            coded = (
                column.unify_dictionaries().combine_chunks() if coded else column.combine_chunks().dictionary_encode()
            )
            cells = pa.array([None if x is None else cell(x) for x in coded.dictionary.to_pylist()], pa.large_string())
            quoted |= bool(pc.any(pc.match_substring_regex(cells, f"{NEEDS_QUOTES}|{mark}")).as_py())
            table = table.set_column(place, name, pc.take(cells, coded.indices))
    return table, quoted
