"""Where the real test data is, for benchmarks that use it where it is at hand."""

import os
from pathlib import Path


def real_data() -> Path:
    """GOCELL_TEST_DATA, else ../shared/data beside the checkout; it may be absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("GOCELL_TEST_DATA") or default)
