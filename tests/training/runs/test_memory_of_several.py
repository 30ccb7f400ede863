"""What is forecast of one network of several phenotypes: a head for each more."""

import json
from pathlib import Path

from tests.commands.model.test_several_phenotypes import built
from tests.commands.runners import run


def test_a_dry_run_of_two_phenotypes_counts_a_head_more(tmp_path: Path) -> None:
    cache = built(tmp_path, "fitness,score")
    told = {}
    for asked in ("fitness", "fitness,score"):
        done = run("train", cache, "--dry-run", "--phenotype", asked, "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told[asked] = json.loads(done.stdout)
    one, both = told["fitness"], told["fitness,score"]
    assert (one["phenotype"], both["phenotype"]) == ("fitness", "fitness, score")
    assert both["parameters"] - one["parameters"] == both["neurons"] == one["neurons"]
