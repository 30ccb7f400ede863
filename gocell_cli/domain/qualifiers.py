"""Qualifiers of annotations: the one place that says which of them turns a row into its opposite."""

import re
from functools import cache

# A word of its own, whatever it stands beside: GAF joins qualifiers by `|`, hand-made files by blanks and commas.
NOT = re.compile(r"(?:^|[\s|,;])not(?:$|[\s|,;])", re.IGNORECASE)


@cache  # a file has a handful of qualifiers, and each stands in thousands of rows
def is_negated(qualifier: str) -> bool:
    """Return whether a qualifier says NOT, in any case and spacing: `NOT`, `not`, `NOT | contributes_to`.

    GAF 2.x, column 4 (geneontology.org/docs/go-annotation-file-gaf-format-2.2), and the relations of GPAD 1.x,
    column 3. Such a row says that the gene is not of the term.
    """
    return NOT.search(qualifier) is not None
