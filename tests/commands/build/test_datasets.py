"""`gocell build-cache` on data sets of every kind, alone and joined, and what does not fit together."""

import json
from pathlib import Path

import numpy as np
import pytest

from gocell_cli import free_memory
from gocell_cli.building import plan
from gocell_cli.errors import InvalidInput, SourceMissing, TooLarge, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.strain_fitness import offered_fitness, published_fitness
from tests.commands.runners import document, failure, invoke, run

HEADER = "genes,growth\n"


def table(path: Path, rows: str, header: str = HEADER) -> Path:
    path.write_text(header + rows, "utf-8")
    return path


def test_a_table_becomes_a_cache_and_its_names_are_reported(tmp_path: Path) -> None:
    raw = table(tmp_path / "mine.csv", "TFC3,0.5\nVPS8 YAL001C,0.25\nNOGENE,1\nYAL001C VPS8,0.75\n")
    result = run("build-cache", "--dataset", "table", "--raw", raw, "--root", tmp_path, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["dataset"], summary["phenotype"], summary["samples"]) == ("table", "growth", 2)
    assert summary["dropped"] == {"unknown_gene": 1, "duplicate_merged": 1}
    assert sorted(Cache(Path(summary["cache"])).sample(i).value for i in range(2)) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("rule", "values"), [("mean", [0.5, 0.7]), ("first", [0.25, 0.7]), ("keep", [0.25, 0.75, 0.7])]
)
def test_two_data_sets_in_one_cache(tmp_path: Path, toy_table: Path, rule: str, values: list[float]) -> None:
    raw = table(tmp_path / "mine.csv", "YBR001C YBR002C,0.25\nYBR001C YBR002C,0.75\nYBR001C YBR003W,0.7\n")
    words = (
        "--dataset",
        "table",
        "--raw",
        f"table={raw}",
        "--raw",
        f"kuzmin2018={toy_table}",
        "--dataset",
        "kuzmin2018",
    )
    given = ("--phenotype", "fitness", "--duplicates", rule, "--root", tmp_path)
    summary = document("build-cache", *words, *given)
    cache = Cache(Path(summary["cache"]))
    assert cache.manifest.datasets == ("table", "kuzmin2018")
    assert summary["rows_read"] == summary["samples"] + sum(summary["dropped"].values())
    own = [s.value for s in map(cache.sample, range(len(cache))) if s.dataset == 0]
    assert sorted(own) == sorted(values)
    assert {s.dataset for s in map(cache.sample, range(len(cache)))} == {0, 1}
    files = cache.manifest.counts["files"]
    assert [file["dataset"] for file in files] == [0, 1]
    assert cache.manifest.config["duplicates"] == rule
    shown = document("inspect", "sample", 0, "--cache", summary["cache"])["provenance"]["sources"][0]
    first = cache.sample(0).sources[0][0]
    file = [f for f in files if f["first_row"] <= first][-1]
    assert (shown["file"], shown["row"]) == (file["name"], first - file["first_row"] + 1)


def test_the_same_data_sets_have_the_same_fingerprint(tmp_path: Path, toy_table: Path) -> None:
    words = ("build-cache", "--dataset", "kuzmin2018", "--raw", toy_table)
    found = [
        document(*words, *extra, "--root", tmp_path / name)["fingerprint"]
        for name, extra in (("a", ()), ("b", ()), ("c", ("--max-p", "0.5")))
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--dataset", "table"), "needs its file"),
        (("--dataset", "simulated", "--dataset", "essentiality"), "cannot be joined"),
        (("--dataset", "kuzmin2018", "--temperature", "26"), "--temperature is for costanzo2016"),
        (("--dataset", "essentiality", "--alleles", "deletion-only"), "--alleles is for kuzmin2018 and kuzmin2020"),
        (("--dataset", "essentiality", "--phenotype-column", "x"), "--phenotype-column is for table"),
        (("--dataset", "kuzmin2018", "--phenotype", "fitness", "--max-p", "0.1"), "fitness has no P-value"),
        (("--dataset", "kuzmin2018", "--dataset", "essentiality"), "essentiality has no phenotype 'tau'"),
        (("--dataset", "costanzo2016", "--phenotype", "tau"), "costanzo2016 has no phenotype 'tau'"),
        (("--dataset", "costanzo2016", "--order", "digenic"), "--order is for kuzmin2018"),
        (("--dataset", "kuzmin2018", "--phenotype", "smf", "--order", "digenic"), "smf is of single mutants"),
        (("--dataset", "kuzmin2018", "--dataset", "kuzmin2020", "--raw", "x"), "of which data set?"),
        (("--dataset", "kuzmin2018", "--raw", "x", "--raw", "y"), "given twice"),
        (("--dataset", "kuzmin2018", "--phenotype", "tau", "--phenotype", "smf"), "--phenotype is given 2 times"),
        (("--gaf", "a", "--gaf", "b"), "--gaf is given 2 times"),
        (("--max-p", "0.1", "--max-p", "0.2", "--dataset", "kuzmin2018"), "--max-p is given 2 times"),
        (("--dataset", "table", "--raw", "x", "--max-p", "0.1"), "which column of the table holds the P-value?"),
        (("--dataset", "table", "--raw", "x", "--statistic-kind", "sd"), "--statistic-kind is of --statistic-column"),
        (("--dataset", "table", "--raw", "x", "--query-column", "a", "--group-column", "b"), "both make query groups"),
        *(
            (("--dataset", "kuzmin2018", option, "x"), f"{option} is for table")
            for option in ("--allele-column", "--statistic-column", "--query-column", "--group-column", "--sheet")
        ),
        (("--dataset", "kuzmin2018", "--phenotype", "epsilon", "--order", "trigenic"), "digenic mutants only"),
        (("--dataset", "kuzmin2018", "--sample", "--phenotype", "tau"), "--sample has no phenotype 'tau'"),
        (("--dataset", "kuzmin2018", "--sample", "--raw", "x"), "--sample is bundled"),
        (("--dataset", "kuzmin2020", "--sample"), "--sample is for kuzmin2018"),
        (("--dataset", "collins2007", "--phenotype", "fitness"), "collins2007 has no phenotype 'fitness'"),
        (("--dataset", "collins2007", "--raw", "x"), "--raw is for"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_read(
    tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    error = failure("build-cache", *words, "--root", tmp_path)
    assert isinstance(error, UsageError)
    assert reason in error.message
    assert list(tmp_path.iterdir()) == []


def test_missing_and_unusable_files(tmp_path: Path) -> None:
    words = ("build-cache", "--root", tmp_path, "--offline")
    for name in ("kuzmin2018", "kuzmin2020", "costanzo2016"):
        error = failure(*words, "--dataset", name)
        assert isinstance(error, SourceMissing)
        assert error.hint
    raw = table(tmp_path / "mine.csv", "NOGENE,1\n")
    assert "none of its 1 rows" in failure(*words, "--dataset", "table", "--raw", raw).message
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_the_real_strain_table_is_accounted_for_to_the_row(tmp_path: Path, test_data: Path) -> None:
    words = ("--dataset", "costanzo2016", "--phenotype", "smf", "--raw", test_data / "costanzo2016")
    deleted = document("build-cache", *words, "--alleles", "deletion-only", "--root", tmp_path)
    summary = document("build-cache", *words, "--root", tmp_path)
    for found in (deleted, summary):
        assert found["rows_read"] == found["samples"] + sum(found["dropped"].values()) == 21_718
    assert (summary["samples"], summary["dropped"]["unknown_gene"]) == (5_440, 74)
    # Counted with openpyxl: 63 strains, two temperatures each, are of names that are no ORF's; SGD lists 26 of these as
    # aliases of the ORFs that they were merged into.
    counts = Cache(Path(summary["cache"])).manifest.counts["names"][-1]
    assert (counts["join"], counts["rows"]["alias"] + 74) == ("costanzo2016", 126)
    # Counted with openpyxl: 5,161 values of strains in the gene table that are damp, tsa, tsq or -supp, of which 224.
    assert deleted["dropped"]["not_a_deletion"] == 5_161
    assert "unknown_allele" not in deleted["dropped"]
    kinds = Cache(Path(summary["cache"])).provenance.kinds
    assert {"deletion", "ts", "damp"} <= set(kinds)


def test_a_suppressed_strain_is_no_deletion(tmp_path: Path, test_data: Path) -> None:
    """TPS1 at 30 degrees: tps1 0.32, tps1-supp1 0.7345, whose mean 0.527 was taken for the deletion's fitness."""
    words = (
        "--dataset",
        "costanzo2016",
        "--phenotype",
        "smf",
        "--raw",
        test_data / "costanzo2016",
        "--temperature",
        30,
    )
    for alleles, value in (("deletion-only", 0.32), ("all", (0.32 + 0.7345) / 2)):
        built = document("build-cache", *words, "--alleles", alleles, "--root", tmp_path)
        cache = Cache(Path(built["cache"]))
        (sample,) = document("inspect", "samples", "--gene", "TPS1", "--cache", cache.directory)["samples"]
        assert sample["value"] == pytest.approx(value)
        shown = document("inspect", "sample", sample["sample"], "--cache", cache.directory)["provenance"]["sources"]
        found = [(s["query_strain"], s["query_allele"], s["query_kind"]) for s in shown]
        suppressed = [("YBR126C_dma298", "tps1-supp1", "suppressor")] if alleles == "all" else []
        assert found == [*suppressed, ("YBR126C_sn2975", "tps1", "deletion")]
        printed = " ".join(invoke("inspect", "sample", sample["sample"], "--cache", cache.directory).stdout.split())
        assert ("YBR126C_dma298 (tps1-supp1, suppressor)" in printed) == (alleles == "all")


EMAP = (
    "gene_1,gene_2,mutation_1,mutation_2,p,s\n"
    "SET2,TFC3,DAMP,DELETION,0.5,1\n"
    "TFC3,SET2,DELETION,DELETION,0.01,2\n"
    "VPS8,TFC3,vps8Δ,tfc3,0.02,3\n"
    "TFC3,ACT1,tfc3,act1-supp1,0.03,4\n"
)


def test_alleles_and_p_values_of_a_table_are_used_and_shown(tmp_path: Path) -> None:
    raw = tmp_path / "emap.csv"
    raw.write_text(EMAP, "utf-8")
    words = ["build-cache", "--dataset", "table", "--raw", raw, "--phenotype-column", "s", "--root", tmp_path]
    words += ["--allele-column", "mutation_1", "--allele-column", "mutation_2", "--statistic-column", "p"]
    words += ["--query-column", "gene_1"]
    result = invoke(*words, "--json")
    assert "2 rows of table are of different alleles of the same genes and are merged into 1 samples" in result.stderr
    cache = Cache(Path(json.loads(result.stdout)["cache"]))
    assert dict(cache.manifest.counts["merged_alleles"]) == {"genotypes": 1, "rows": 2}
    assert cache.provenance.query_groups == ("YAL001C;YJL168C", "YAL002W")
    (sample,) = document("inspect", "samples", "--gene", "ACT1", "--cache", cache.directory)["samples"]
    (source,) = document("inspect", "sample", sample["sample"], "--cache", cache.directory)["provenance"]["sources"]
    assert (source["row"], source["query_kind"], source["array_kind"]) == (5, "deletion", "suppressor")
    assert (source["array_strain"], source["array_allele"]) == ("YFL039C", "act1-supp1")

    result = invoke(*words, "--alleles", "deletion-only", "--max-p", "0.015", "--json")
    built = json.loads(result.stdout)
    assert built["samples"] == 1
    assert built["dropped"] == {"not_a_deletion": 2, "p_above_max": 1}
    assert "different alleles" not in result.stderr
    error = failure(*words, "--alleles", "deletion-only", "--max-p", "0.001")
    assert isinstance(error, InvalidInput)
    assert "none of its 4 rows is left" in error.message


CROSSES = (
    "gene_1,gene_2,f_1,f_2,fitness\n"
    "SET2,TFC3,0.9,0.8,0.7\n"
    "SET2,VPS8,0.9,,0.6\n"
    "VPS8,TFC3,0.7,0.6,0.5\n"
    "ACT1,,0.3,0.9,0.3\n"
)


def test_fitness_of_the_strains_of_a_table_is_kept_by_strain(tmp_path: Path) -> None:
    """VPS8's is known as query alone, TFC3's two rows differ, and of a row of one gene there is no second strain."""
    raw = tmp_path / "crosses.csv"
    raw.write_text(CROSSES, "utf-8")
    words = ("build-cache", "--dataset", "table", "--raw", raw, "--fitness-column", "f_1,f_2", "--root", tmp_path)
    done = invoke(*words, "--json")
    assert "table publishes the fitness of 4 of its 4 strains" in done.stderr
    cache = Cache(Path(json.loads(done.stdout)["cache"]))
    assert cache.manifest.counts["strain_fitness"] == {"strains": 4, "of": 4, "several_values": 1}
    assert cache.provenance.fitness is not None
    strains = zip(cache.provenance.strains, cache.provenance.fitness, strict=True)
    by_strain = {strain: value for (strain, _), value in strains}
    lookup = cache.hierarchy.lookup
    found = {name: by_strain[cache.hierarchy.gene_names[lookup.find(name).genes[0]]] for name in ("SET2", "TFC3")}
    assert found == {"SET2": 0.9, "TFC3": pytest.approx(0.7)}
    samples = cache.columns()
    known = published_fitness(samples, cache.provenance, cache.hierarchy)
    value = {v: k.tolist() for v, k in zip(samples.value.tolist(), known, strict=True)}
    assert value[0.7] == [0.9, pytest.approx(0.7)]
    assert value[0.6] == [0.9, 0.7]  # VPS8's as array is what it was as query
    assert value[0.3][0] == 0.3
    assert np.isnan(value[0.3][1])
    told = {kind: offered_fitness(samples, cache.provenance, cache.hierarchy, kind) for kind in ("fitness", "epsilon")}
    assert told["fitness"] is not None
    assert (told["fitness"].withheld, told["fitness"].query, told["fitness"].array) == ("", 4, 3)
    assert told["epsilon"] is not None
    assert "what is left of the combined mutant's fitness" in told["epsilon"].withheld
    # the first column is that of gene_1 whichever of both is the query
    other = Cache(Path(document(*words, "--query-column", "gene_2")["cache"]))
    assert dict(zip(other.provenance.strains, other.provenance.fitness or (), strict=True)) == dict(
        zip(cache.provenance.strains, cache.provenance.fitness, strict=True)
    )
    assert "which column of the table names the alleles" in failure(*words, "--alleles", "deletion-only").message


@pytest.mark.parametrize(
    ("columns", "given", "reason"),
    [
        ("gene_1,gene_2,f_1,f_2,fitness", "f_1", "1 fitness columns, and not the two of a cross's strains"),
        ("gene_1,gene_2,f_1,f_2,fitness", "f_1,f_1", "1 fitness columns, and not the two"),
        ("gene_1,gene_2,f_1,f_2,fitness", "f_1,f_9", "there is no fitness column 'f_9'"),
        ("genes,other,f_1,f_2,fitness", "f_1,f_2", "one gene column, and the fitness of two strains"),
    ],
)
def test_fitness_columns_that_say_of_no_two_strains_are_refused(
    tmp_path: Path, columns: str, given: str, reason: str
) -> None:
    raw = tmp_path / "crosses.csv"
    raw.write_text(CROSSES.replace("gene_1,gene_2,f_1,f_2,fitness", columns), "utf-8")
    words = ("build-cache", "--dataset", "table", "--raw", raw, "--root", tmp_path, "--phenotype-column", "fitness")
    assert reason in failure(*words, "--fitness-column", given).message


def test_a_fitness_below_0_is_an_error_with_its_line(tmp_path: Path) -> None:
    raw = tmp_path / "crosses.csv"
    raw.write_text(CROSSES.replace("0.7,0.6,0.5", "0.7,-0.6,0.5"), "utf-8")
    words = ("build-cache", "--dataset", "table", "--raw", raw, "--root", tmp_path, "--fitness-column", "f_1,f_2")
    error = failure(*words)
    assert "'f_2': -0.6 is no fitness" in f"{error.message} {error.why}"
    assert "4" in error.message


def test_a_joined_table_without_alleles_is_said_to_keep_its_rows(tmp_path: Path, toy_table: Path) -> None:
    raw = table(tmp_path / "mine.csv", "TFC3,0.5\n")
    words = ["build-cache", "--dataset", "kuzmin2018", "--dataset", "table", "--raw", f"kuzmin2018={toy_table}"]
    words += ["--raw", f"table={raw}", "--root", str(tmp_path), "--phenotype", "tau", "--max-p", "0.5"]
    result = invoke(*words)
    assert "--max-p: all rows of table stay, which names no a P-value" not in result.stderr
    assert "--max-p: all rows of table stay: it names no P-value (--statistic-column)" in " ".join(
        result.stderr.split()
    )


def test_epsilon_says_why_trigenic_rows_stay_out(tmp_path: Path, toy_table: Path) -> None:
    result = invoke(
        "build-cache", "--dataset", "kuzmin2018", "--raw", toy_table, "--phenotype", "epsilon", "--root", tmp_path
    )
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "kuzmin2018: 1 trigenic rows stay out of epsilon: the raw epsilon of a trigenic row" in said


def test_the_bundled_sample_needs_no_file(tmp_path: Path) -> None:
    words = ("build-cache", "--dataset", "kuzmin2018", "--sample", "--offline", "--root", tmp_path)
    result = run(*words, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "which have no scores: the phenotype is fitness" in result.stderr
    summary = json.loads(result.stdout)
    assert (summary["phenotype"], summary["rows_read"], summary["samples"]) == ("fitness", 15_095, 14_571)
    recipe = Path(summary["cache"]).with_suffix(".toml")
    again = document("build-cache", "--config", recipe, "--root", tmp_path / "again")
    assert again["fingerprint"] == summary["fingerprint"]
    assert "or --sample" in failure("build-cache", "--dataset", "kuzmin2018", "--offline", "--root", tmp_path).hint


def test_collins_deletions_need_no_file(tmp_path: Path) -> None:
    words = ("build-cache", "--dataset", "collins2007", "--alleles", "deletion-only", "--root", tmp_path)
    summary = document(*words)
    assert (summary["phenotype"], summary["samples"]) == ("s_score", 150_636)
    assert not list((tmp_path / "caches").glob("*.rejected.tsv"))


def test_simulated_samples_that_memory_has_no_room_for_are_refused_before_they_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (plan, free_memory):
        monkeypatch.setattr(module, "free_memory", lambda: 30_000_000)
    words = ("build-cache", "--dataset", "simulated", "--samples", 20_000, "--panel", 100)
    error = failure(*words, "--root", tmp_path)
    assert isinstance(error, TooLarge)
    assert error.message.startswith("drawing 20,000 samples would take 0.0 GB of memory")
    assert error.hint == "--samples 16666"
    assert not list(tmp_path.rglob("*.parquet"))
