"""Servers that lie at random: what `fetch` keeps is the file that was offered, whole, or nothing."""

import gzip
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests import toy
from tests.attempts import attempts
from tests.commands.fork_server import completed, environment
from tests.sources.http_server import Answer, LocalSite

OLD, NEW = (toy.obo_text().replace("toy/2020-01-01", f"releases/{day}") + "\n[Typedef]\nid: part_of\nname: part of\n"
            for day in ("2020-01-01", "2021-02-02"))  # fmt: skip
GOOD = {OLD.encode(), NEW.encode()}
GARBAGE = (b"", b"<html>log in</html>", b"\x00" * 1462, b"format-version: 1.2\n", b"{}", gzip.compress(OLD.encode()))
FIELDS = (
    ("ETag", '"a"'), ("ETag", '"b"'), ("ETag", 'W/"a"'), ("Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Type", "text/html"),
    ("Content-Range", "bytes 0-1/2"),
    ("Content-Range", "bytes 9-1/*"), ("Retry-After", "99999999"), ("Set-Cookie", "a=b"),
)  # fmt: skip
PLACES = (
    "http://[",
    "file:///etc/passwd",
    "/go-basic.obo",
    "http://127.0.0.1:1/",
    "ftp://127.0.0.1/",
    "\x00",
    "//",
    "",
)


def lying(rng: random.Random) -> Answer:
    """An answer that a broken, hostile or merely busy server may give."""
    body = rng.choice((OLD.encode(), NEW.encode(), NEW.encode(), rng.choice(GARBAGE)))
    if rng.random() < 0.2:
        body = body[: rng.randrange(len(body) + 1)]
    fields = tuple(rng.sample(FIELDS, rng.choice((0, 1, 1, 2))))
    status = rng.choice((200, 200, 200, 200, 200, 206, 301, 302, 304, 404, 416, 429, 500, 503))
    if status in (301, 302):
        fields = (*fields, ("Location", rng.choice(PLACES)))
    cut = rng.choice((None, None, None, 0, rng.randrange(len(body) + 1), max(len(body) - 1, 0)))
    claim = rng.choice((None, None, None, -1, len(body) + 1, len(body) - 1, 2**63, 0))
    lies = {"ranges": rng.random() < 0.5, "obey_if_range": rng.random() < 0.5, "chunked": rng.random() < 0.2}
    return Answer(body, status, fields, cut, claim=claim if claim is None or claim >= -1 else None, **lies)


def test_a_lying_server(local_site: LocalSite, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    count, codes, broken = attempts(6, 300), Counter[int](), []
    variables = environment(
        GOCELL_MIRROR=local_site.url, GOCELL_TIMEOUT="1", NO_PROXY="127.0.0.1", no_proxy="127.0.0.1"
    )
    for seed in range(count):
        rng, root = random.Random(seed), tmp_path / str(seed)
        local_site.script["/go-basic.obo"] = [lying(rng) for _ in range(rng.randrange(1, 5))]
        brought = False
        for _ in range(2):  # the second goes on from what the first has left
            done = completed(["gocell", "fetch", "go", "--root", root], tmp_path, variables, timeout=120)
            codes[done.returncode] += 1
            brought |= done.returncode == 0
            if done.returncode not in (0, 4, 6) or "Traceback" in done.stderr:
                broken.append(f"{seed}: exit {done.returncode}: {done.stderr[-400:]}")
        kept = [path.read_bytes() for path in root.rglob("go-basic.obo")]
        if any(data not in GOOD for data in kept) or brought != bool(kept):
            broken.append(f"{seed}: brought {brought}, kept {[data[:60] for data in kept]}")
    record_property("attack", {"kind": "lying servers", "attempts": count, "read": codes[0],
                               "refused": codes[4] + codes[6], "broken": len(broken)})  # fmt: skip
    assert not broken, "\n".join(broken[:12])
