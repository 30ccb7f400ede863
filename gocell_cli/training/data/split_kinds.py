"""The kinds of splits, which `splits.py` describes, and their parts: words that are checked before NumPy is loaded."""

SPLITS = ("random", "query", "gene")
PARTS = ("train", "validation", "test")
