"""`gocell inspect split`: what a training would keep apart, and the table that `--split` reads back."""

from pathlib import Path

from tests.commands.runners import document, failure, invoke


def test_a_split_is_shown_written_and_read_back(small_cache: Path, tmp_path: Path) -> None:
    """Fourteen genotypes of twelve samples each."""
    out = tmp_path / "split.tsv"
    words = ("inspect", "split", "--cache", small_cache)
    found = document(*words, "--split-seed", 3, "--out", out)
    split = found["split"]
    assert (found["out"], split["kind"], split["seed"], split["rule"]) == (str(out), "random", 3, 2)
    assert (split["train"], split["validation"], split["test"]) == (132, 24, 12)
    assert split["test_with_known_genotype"] == split["dropped"] == 0
    again = document(*words, "--split", out)["split"]
    assert again["kind"] == "file"
    assert again["fingerprint"] == split["fingerprint"]
    assert "is there already" in str(failure(*words, "--out", out))
    few = [line for line in out.read_text("utf-8").splitlines() if not line.startswith("YAL001C\t\t")]
    out.write_text("\n".join(few) + "\n", "utf-8")
    shown = invoke(*words, "--split", out).stdout
    assert f"12 in no part, 12 of them not named in {out}" in shown


def test_folds_are_shown_and_groups_are_counted(toy_cache: Path, small_cache: Path) -> None:
    tested = [
        document("inspect", "split", "--cache", small_cache, "--folds", 3, "--fold", fold)["split"]["test"]
        for fold in range(3)
    ]
    assert sum(tested) == 168
    error = failure("inspect", "split", "--cache", toy_cache, "--split", "query", "--folds", 50)
    assert "query groups make no 50 folds" in str(error)
