"""The page on hierarchies of one's own is a transcript: it runs on the real files, and prints what it says."""

from pathlib import Path

from tests.docs.console_blocks import differs, run, steps

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "own-hierarchy.md"
FILES = (
    "go/go-2016-12-06.obo.gz", "go/goa_yeast-2016-10-03.gaf.gz", "nest_vnn/ontology.txt", "nest_vnn/hierarchy.cx2.gz",
    "kuzmin2018/aao1729_data_s1.slice.tsv",
)  # fmt: skip


def test_the_transcript(tmp_path: Path, test_data: Path) -> None:
    for name in FILES:
        (tmp_path / Path(name).name).symlink_to(test_data / name)
    for folder in ("round", "train"):
        (tmp_path / folder).mkdir()
    found = steps(PAGE.read_text("utf-8"))
    assert len(found) > 15
    for step in found:
        printed = run(step, tmp_path)
        wrong = differs(step.expected, printed)
        assert not wrong, f"$ {step.command}\nexpected: {wrong}\nprinted:\n{printed}"
