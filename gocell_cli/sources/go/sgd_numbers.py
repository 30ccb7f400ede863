"""What SGD_features.tab says of an ORF in numbers: how long its protein is, its introns, whether it is verified.

Columns as in `sgd.py`; 7 names the ORF that a CDS or an intron is a part of, 10 and 11 are its first and last base.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from gocell_cli.errors import InvalidInput
from gocell_cli.named_vectors import NamedVectors
from gocell_cli.sources.go.sgd import COLUMNS
from gocell_cli.sources.text_file import decode, lines_of, read_bytes, sha256_of

NUMBERS = ("sgd_log10_coding_bases", "sgd_introns", "sgd_verified")
"""Bases of all its CDS, of which three are an amino acid; how many introns; 1 where SGD says Verified, else 0."""
TYPE, QUALIFIER, SYSTEMATIC, PARENT, START, STOP = 1, 2, 3, 6, 9, 10


def read_sgd_numbers(path: Path) -> NamedVectors:
    """Return NUMBERS of every ORF of an SGD feature table, NaN where it gives none.

    Raises InvalidInput with the line of a short row, and where there is no ORF.
    """
    coding: dict[str, int] = defaultdict(int)
    introns: dict[str, int] = defaultdict(int)
    verified: dict[str, tuple[int, bool]] = {}
    for number, line in lines_of(decode(read_bytes(path), path, "latin-1")):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) < COLUMNS:
            raise InvalidInput.at(
                path,
                number,
                f"{len(fields)} tab-separated columns where SGD has {COLUMNS}",
                hint="it is SGD_features.tab",
            )
        if fields[TYPE] == "ORF":
            verified[fields[SYSTEMATIC]] = (number, fields[QUALIFIER].startswith("Verified"))
        elif fields[TYPE] == "CDS":
            coding[fields[PARENT]] += _bases(path, number, fields)
        elif fields[TYPE] == "intron":
            introns[fields[PARENT]] += 1
    if not verified:
        raise InvalidInput.at(path, None, "no ORF row: not an SGD feature table")
    rows = [(coding.get(name) or np.nan, introns.get(name, 0), known) for name, (_, known) in verified.items()]
    values = np.array(rows, dtype=np.float64)
    values[:, 0] = np.log10(values[:, 0])
    lines = np.array([number for number, _ in verified.values()], dtype=np.int64)
    return NamedVectors(path, sha256_of(path), lines, tuple(verified), NUMBERS, values)


def _bases(path: Path, number: int, fields: list[str]) -> int:
    """The bases from first to last, both counted; on the Crick strand the first is the higher number."""
    if not fields[START].isdecimal() or not fields[STOP].isdecimal():
        reason = f"a CDS from {fields[START][:20]!r} to {fields[STOP][:20]!r}: two whole numbers are wanted"
        raise InvalidInput.at(path, number, reason)
    return abs(int(fields[STOP]) - int(fields[START])) + 1
