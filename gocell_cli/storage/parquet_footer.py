"""What Parquet files claim and may hold, whatever the table: bytes before they are read, nulls after."""

from typing import Any

import pyarrow as pa


def decoded_bytes(footer: Any) -> int:
    """Return the bytes of all values as a footer (pyarrow's FileMetaData) counts them, at 8 each.

    Most take fewer, but are held twice for a moment. A footer may claim more than memory can hold in a file of 1 kB.
    """
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    return sum(8 * int(group.column(i).num_values) for group in groups for i in range(footer.num_columns))


def holds_null(column: pa.ChunkedArray) -> bool:
    """Whether a value of a column is null, or an item of one of its lists."""
    # of a null among whole numbers NumPy would make NaN, and of the column floats
    inner = any(chunk.values.null_count for chunk in column.chunks) if pa.types.is_list(column.type) else False
    return bool(column.null_count or inner)
