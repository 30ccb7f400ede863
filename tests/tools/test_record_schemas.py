"""`schemas/run.schema.json` is what run.json is read by, and a run's record validates against it."""

from tools.record_schemas import FILE, text


def test_the_file_is_what_the_types_give() -> None:
    assert FILE.read_text("utf-8") == text()
