"""`build-cache --dataset simulated`: labelled wherever it is shown, its shares kept, refused elsewhere."""

import json
from pathlib import Path

import pytest

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.verify import verify_cache
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke, run

SMALL = (
    "--samples",
    "2000",
    "--panel",
    "50",
    "--deletions",
    "2",
    "--seed",
    "3",
    "--epistasis",
    "0.4",
    "--min-genes",
    "50",
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("simulated")
    # 1,225 pairs of 50 genes: half of them may be drawn
    words = [*SMALL[:2], "--panel", "100", *SMALL[4:]]
    process = run("build-cache", "--dataset", "simulated", *words, "--root", folder, "--json", cwd=folder)
    assert process.returncode == 0, process.stderr
    return Built(folder, process, json.loads(process.stdout))


def test_the_cache_holds_what_was_asked_for(simulated: Built) -> None:
    cache = Cache(simulated.cache)
    assert len(cache) == 2000
    assert cache.manifest.datasets == ("simulated",)
    assert cache.manifest.config["seed"] == 3
    assert cache.manifest.config["dataset_options"]["epistasis"] == "0.4"
    shares = cache.manifest.counts["simulated"]
    assert shares["epistasis"] == pytest.approx(0.4, abs=1e-5)
    assert shares["noise"] == pytest.approx(0.1, abs=0.02)
    assert shares["ceiling"] == pytest.approx((1 - shares["noise"]) ** 0.5, abs=0.01)
    assert verify_cache(simulated.cache).findings == ()


def test_it_is_called_simulated_everywhere(simulated: Built) -> None:
    for words in (["cache", "info", simulated.cache], ["inspect", "sample", "0", "--cache", simulated.cache]):
        assert "simulated" in invoke(*words).stdout, words
    assert simulated.cache.name.startswith("simulated-simulated-")


def test_the_same_seed_gives_the_same_cache(simulated: Built, tmp_path: Path) -> None:
    words = [*SMALL[:2], "--panel", "100", *SMALL[4:]]
    other = Path(document("build-cache", "--dataset", "simulated", *words, "--root", tmp_path)["cache"])
    assert (other / "manifest.json").read_bytes() == (simulated.cache / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "essentiality", "--samples", "10"), "--samples is for simulated data"),
        (("--dataset", "simulated", *SMALL), "too small for 2000 distinct genotypes"),
        (("--dataset", "simulated", "--phenotype", "tau"), "simulated has no phenotype 'tau'"),
        (("--dataset", "simulated", "--order", "digenic"), "--order is for kuzmin2018 and kuzmin2020"),
        (("--dataset", "simulated", "--deletions", "1"), "single deletions have no epistasis"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_read(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    error = failure("build-cache", *words, "--root", tmp_path / "root")
    assert isinstance(error, UsageError)
    assert message in error.message
    assert not (tmp_path / "root").exists()
