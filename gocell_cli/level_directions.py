"""Which way levels count: from the root (stratum, level, depth) or from the leaves (height).

Apart from the rules that follow of it, which need NumPy: a cache or a run of neither is refused before that is loaded.
"""

ROOT_DOWN, LEAF_UP = "root_down", "leaf_up"
DIRECTIONS = (ROOT_DOWN, LEAF_UP)
