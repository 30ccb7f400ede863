"""Seeded mutators: what bit rot, a careless script or a hostile friend makes of a file, by the kind of its bytes.

Each takes a random generator and the good bytes, and returns bad ones (now and then good ones again). The same seed
gives the same bytes.
"""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

UNREADABLE = (
    RuntimeError, EOFError, ValueError, LookupError, TypeError, StopIteration, OverflowError,
    AttributeError, MemoryError, OSError, struct.error, pa.ArrowException, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
Mutator = Callable[[random.Random, bytes], bytes]
PAGE = 4096
NAMES = (
    "", " ", "$x_$", "[/b]", "[bold red]", "<script>alert(1)</script>", "\x1b]0;owned\x07", "\u202egnirts",
    "\x00", "a\nb", "=1+1", "../../etc/passwd", "/dev/zero", "\ud7ff", "\U0001f9ec", "%s%n{0}", "x" * 4000,
    "-1", "nan",
    "None", "A|B", "|", "''", '"', "\x7f", "\u2028", "GO:0000001", "YAL001C", "true", "\r", "\t", "!", "#", "{}",
)  # fmt: skip
NUMBERS = (
    "-1", "0", "1e160", "1e300", "-1e300", "1e999", "nan", "inf", "-inf", str(2**31), str(2**31 - 1),
    str(2**63), str(2**64), "1" * 400, "0.1", "-0.0", "1,5", "0x10", "1_000", "٣", "9999-99-99", "4294967295", "1e-320",
)  # fmt: skip
INTEGERS = (0, 1, -1, 2**31 - 1, -(2**31), 2**32, 2**60, 2**63 - 1, -(2**63), 6604, 255)
VALUES: tuple[Any, ...] = (None, True, False, [], {}, [[]], 0.5, -1, 2**31, 2**63, 2**64, 1e300, *NAMES[:10], "9" * 400)


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(max(len(data), 1))


def _block(rng: random.Random, data: bytes) -> tuple[int, int]:
    """A range of bytes, short ones as often as long ones."""
    start = _place(rng, data)
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def flipped(rng: random.Random, data: bytes) -> bytes:
    """One to eight bits."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        found[_place(rng, data)] ^= 1 << rng.randrange(8)
    return bytes(found)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The beginning alone, or the end alone; often all but a few bytes."""
    kept = rng.choice((0, 1, len(data) - 1, len(data) - 8, len(data) // 2, _place(rng, data)))
    return data[: max(kept, 0)] if rng.random() < 0.8 else data[max(kept, 0) :]


def without_block(rng: random.Random, data: bytes) -> bytes:
    """A range taken out."""
    start, stop = _block(rng, data)
    return data[:start] + data[stop:]


def block_twice(rng: random.Random, data: bytes) -> bytes:
    """A range doubled, in its place or elsewhere."""
    start, stop = _block(rng, data)
    at = rng.choice((stop, _place(rng, data)))
    return data[:at] + data[start:stop] + data[at:]


def overwritten(rng: random.Random, data: bytes) -> bytes:
    """A range of zeros, ones, or noise."""
    start, stop = _block(rng, data)
    filling = rng.choice((b"\0", b"\xff", b""))
    new = filling * (stop - start) or rng.randbytes(stop - start)
    return data[:start] + new + data[stop:]


def integer_set(rng: random.Random, data: bytes) -> bytes:
    """A 2, 4 or 8 byte integer of a kind that programs trip over; where there are pages, often in a page's head."""
    size, code = rng.choice(((2, "<H"), (4, "<I"), (8, "<Q")))
    start = _place(rng, data) & ~(size - 1)
    if len(data) >= PAGE and rng.random() < 0.5:
        start = (start & ~(PAGE - 1)) + (rng.randrange(64) & ~(size - 1))
    value = struct.pack(code, rng.choice(INTEGERS) & (2 ** (8 * size) - 1))
    return data[:start] + value + data[start + size :]


def grown(rng: random.Random, data: bytes) -> bytes:
    """Noise, or the file once more, before or behind it."""
    more = rng.choice((data, rng.randbytes(64), b"\0" * 512, b"\n", b"\xef\xbb\xbf"))
    return data + more if rng.random() < 0.7 else more + data


BYTES: tuple[Mutator, ...] = (
    flipped, cut, without_block, block_twice, overwritten, integer_set, grown,
)  # fmt: skip
"""For any file."""


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split("\n")


def _text(lines: Sequence[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "replace")


def lines_moved(rng: random.Random, data: bytes) -> bytes:
    """A line lost, doubled, moved, or joined with the next."""
    lines = _lines(data)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    deed = rng.randrange(5)
    if deed == 0:
        del lines[i]
    elif deed == 1:
        lines.insert(j, lines[i])
    elif deed == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif deed == 3:
        lines[i : i + 2] = ["".join(lines[i : i + 2])]
    else:
        rng.shuffle(lines)
    return _text(lines)


def field_changed(rng: random.Random, data: bytes) -> bytes:
    """A field of a line replaced, taken out, or doubled; fields end at tabs, commas, blanks or colons."""
    lines = _lines(data)
    i = rng.randrange(len(lines))
    separator = rng.choice([s for s in ("\t", ",", " ", ": ", "|") if s in lines[i]] or ["\t"])
    fields = lines[i].split(separator)
    at = rng.randrange(len(fields))
    deed = rng.randrange(4)
    if deed == 0:
        fields[at] = rng.choice(NAMES)
    elif deed == 1:
        fields[at] = rng.choice(NUMBERS)
    elif deed == 2:
        del fields[at]
    else:
        fields.insert(at, fields[at])
    lines[i] = separator.join(fields)
    return _text(lines)


def letters_changed(rng: random.Random, data: bytes) -> bytes:
    """A control character, a quote or a letter of another script put somewhere; or the case of a line turned."""
    text = data.decode("utf-8", "replace")
    at = rng.randrange(max(len(text), 1))
    if rng.random() < 0.2:
        return (text[:at] + text[at:].swapcase()).encode("utf-8", "replace")
    return (text[:at] + rng.choice((*NAMES, *NUMBERS)) + text[at + rng.randrange(2) :]).encode("utf-8", "replace")


def encoded(rng: random.Random, data: bytes) -> bytes:
    """Another encoding or other line ends, which may be none of the reader's."""
    text = data.decode("utf-8", "replace")
    how = rng.randrange(6)
    if how < 4:
        return text.encode(("utf-16", "utf-8-sig", "latin-1", "utf-32")[how], "replace")
    return text.replace("\n", ("\r\n", "\r")[how - 4]).encode("utf-8", "replace")


def long_line(rng: random.Random, data: bytes) -> bytes:
    """A line of a quarter of a million letters, or ten thousand empty ones."""
    lines = _lines(data)
    lines.insert(rng.randrange(len(lines)), rng.choice(("x" * 250_000, "\t" * 250_000, "\n" * 10_000, "[" * 50_000)))
    return _text(lines)


TEXT: tuple[Mutator, ...] = (
    lines_moved, field_changed, field_changed, letters_changed, encoded, long_line, flipped, cut, without_block,
)  # fmt: skip
"""For files of lines."""


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in _paths(item, (*path, key)))]


def document_changed(rng: random.Random, document: Any) -> Any:
    """One value of a document replaced or taken out, or a key put beside it."""
    path = rng.choice(_paths(document))
    if not path:
        return rng.choice(VALUES)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    if rng.random() < 0.25:
        del holder[path[-1]]
    elif isinstance(holder, dict) and rng.random() < 0.2:
        holder[rng.choice(NAMES)] = rng.choice(VALUES)
    else:
        holder[path[-1]] = rng.choice((*VALUES, float("nan"), float("inf"), 10**400))
    return document


def json_changed(rng: random.Random, data: bytes) -> bytes:
    """As above, written as JSON."""
    return json.dumps(document_changed(rng, json.loads(data)), ensure_ascii=rng.random() < 0.5).encode(
        "utf-8", "replace"
    )


def json_odd(rng: random.Random, data: bytes) -> bytes:
    """What JSON parsers differ about: a key twice, a lone surrogate, nesting, marks, comments, numbers."""
    text = data.decode("utf-8", "replace")
    how = rng.randrange(6)
    if how == 0 and '"' in text:
        at = text.index('"')
        return (text[:at] + text[at:].replace('"', '"format_version":1,"', 1)).encode()
    if how == 1:
        return text.replace('":"', '":"\\ud800', 1).encode()
    if how == 2:
        return b"[" * 100_000 + data + b"]" * 100_000
    if how == 3:
        return text.replace(":1", ": NaN", 1).encode()
    return text.encode("utf-16" if how == 4 else "utf-8-sig")


JSON: tuple[Mutator, ...] = (json_changed, json_changed, json_changed, json_odd, flipped, cut, letters_changed)
"""For one JSON document."""


def _hostile(rng: random.Random, kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [_hostile(rng, kind.value_type) for _ in range(rng.choice((0, 1, 2, 5)))]
    if pa.types.is_integer(kind):
        size = kind.bit_width - 1
        return rng.choice([i for i in INTEGERS if -(2**size) <= i < 2**size])
    if pa.types.is_floating(kind):
        return rng.choice((float("nan"), float("inf"), 1e300, -1.0, 0.0))
    return rng.choice(NAMES)


def _column_changed(rng: random.Random, table: pa.Table) -> pa.Table:
    at = rng.randrange(table.num_columns)
    field, values = table.schema.field(at), table.column(at).to_pylist()
    for _ in range(rng.choice((1, 1, 3)) if values else 0):
        row = rng.randrange(len(values))
        deed = rng.randrange(5)
        if deed == 0:
            values[row] = None
        elif deed == 1:
            values[row] = rng.choice(values)
        elif isinstance(values[row], list) and deed < 4:
            values[row] = rng.choice((values[row][::-1], values[row] * 2, values[row][:-1], [None]))
        else:
            values[row] = _hostile(rng, field.type)
    nullable = None in values or any(isinstance(v, list) and None in v for v in values)
    return table.set_column(at, field.with_nullable(field.nullable or nullable), pa.array(values, field.type))


def _table_changed(rng: random.Random, table: pa.Table) -> pa.Table:
    deed, rows = rng.randrange(9), table.num_rows
    if deed == 0:
        return table.slice(0, rng.randrange(rows + 1))
    if deed == 1:
        return pa.concat_tables([table, table.slice(rng.randrange(rows + 1))])
    if deed == 2:
        return table.take(pa.array(rng.sample(range(rows), rows), pa.int64()))
    if deed == 3:
        return table.remove_column(rng.randrange(table.num_columns))
    if deed == 4:
        names = [*table.column_names]
        names[rng.randrange(len(names))] = rng.choice(NAMES)
        return table.rename_columns(names)
    return _column_changed(rng, table)


def parquet_changed(rng: random.Random, data: bytes) -> bytes:
    """Values, rows or columns of a table changed, and a sound file made of it."""
    table = _table_changed(rng, pq.read_table(io.BytesIO(data)))
    if rng.random() < 0.1:  # the same values as another type
        table = table.cast(
            pa.schema([(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in table.schema])
        )
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        compression=rng.choice(("zstd", "none", "snappy")),
        row_group_size=rng.choice((max(table.num_rows // 9, 1), 10**6)),
    )
    return out.getvalue()


PARQUET: tuple[Mutator, ...] = (parquet_changed, parquet_changed, parquet_changed, *BYTES)


def tensors_changed(rng: random.Random, data: bytes) -> bytes:
    """A safetensors file whose header lies, or whose numbers are none; the header's length goes along, mostly."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    deed = rng.randrange(4)
    if deed == 0:
        state = json.loads(header["__metadata__"]["state"])
        header["__metadata__"]["state"] = json.dumps(document_changed(rng, state))
    elif deed == 1:
        header = document_changed(rng, header)
    elif deed == 2:
        start = _place(rng, body) & ~3
        body = body[:start] + struct.pack("<f", rng.choice((float("nan"), float("inf"), 1e38))) * 4 + body[start + 16 :]
    else:
        names = [name for name in header if name != "__metadata__"]
        one, other = rng.choice(names), rng.choice(names)
        header[one], header[other] = header[other], header[one]
    text = json.dumps(header).encode()
    return (len(text) + rng.choice((0, 0, 0, 1, -1, 2**40))).to_bytes(8, "little", signed=True) + text + body


TENSORS: tuple[Mutator, ...] = (tensors_changed, tensors_changed, tensors_changed, *BYTES)


def zip_changed(rng: random.Random, data: bytes) -> bytes:
    """A member of a zip (a workbook's sheet, for one) changed as text; or a cell of it put far out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(sorted(members))
    if rng.random() < 0.3:
        name = next((n for n in members if n.endswith("sheet1.xml")), name)
        members[name] = members[name].replace(
            b'r="A2"', rng.choice((b'r="XFD1048576"', b'r="ZZZZ9"', b'r="A99999999999"'))
        )
    elif rng.random() < 0.2:
        del members[name]
    else:
        members[name] = rng.choice(TEXT)(rng, members[name])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return out.getvalue()


ZIP: tuple[Mutator, ...] = (zip_changed, zip_changed, *BYTES)


def mutated(seed: int, mutators: Sequence[Mutator], data: bytes) -> bytes:
    """One to three mutations of the good bytes, the same for the same seed; what none can read has bits flipped."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            data = rng.choice(mutators)(rng, data)
        except UNREADABLE:
            data = flipped(rng, data)
    return data
