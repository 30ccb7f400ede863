"""The page on gene states: its table is read as it says, and a network is trained on what comes of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.pyg.cell_dataset import CellDataset
from tests.commands.runners import invoke

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "gene-states.md"


def test_the_table_of_the_page_is_read_as_it_says(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    rows = next(block for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if block.startswith("genes"))
    (tmp_path / "screen.tsv").write_text(rows + "YAL001C YAL001C:dosage=0.5\t0.9\n", "utf-8")
    words = ("build-cache", tmp_path / "screen.tsv", "--channel", "dosage=1:0,0.5,2", "--min-genes", "150")
    summary = json.loads(invoke(*words, "--root", tmp_path, "--json").stdout)
    assert summary["dropped"] == {"two_states_of_a_gene": 1}
    assert Cache(Path(summary["cache"])).manifest.format_version == 2  # 0 is no deletion here
    cache = Cache(Path(summary["cache"]))
    names, samples = cache.hierarchy.gene_names, cache.columns()
    found = {
        tuple(names[g] for g in samples.genes[start:stop].tolist()): value
        for start, stop, value in zip(samples.gene_ptr, samples.gene_ptr[1:], samples.value, strict=False)
    }
    assert found == {
        ("YAL001C:dosage=0", "YAL002W:dosage=0.5"): 0.71,
        ("YAL001C:dosage=2",): 1.04,
        ("YAL003W:dosage=0", "YAL005C:dosage=0.5"): 0.33,
    }
    assert sorted(np.unique(cache.channel_states([0, 1, 2])).tolist()) == [0.0, 0.5, 1.0, 2.0]
    with pytest.raises(UsageError, match="several states"):
        CellDataset(cache)
    told = json.loads(invoke("inspect", "sample", "0", "--cache", cache.directory, "--json").stdout)
    assert {(t["gene"], t["channel"], t["state"], t["wild_type"]) for t in told["terms"]} == {
        ("YAL001C:dosage=2", "dosage", 2.0, 1.0)
    }
