"""The kinds of file that gocell reads, its own and the world's: a good one of each, and the commands that read it.

`stock(folder)` makes all of them once, with gocell's own commands on toy inputs. Then an attack copies the folder of a
kind, changes one file of it, and runs the kind's commands.
"""

import gzip
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from gocell_cli.sources.screens import kuzmin
from tests import toy
from tests.attacks.victims import WORK
from tests.commands.fork_server import completed, environment
from tests.sources.gaf_files import YEAST, gaf_row
from tests.sources.go.test_gpad_gpi import as_gpad

Words = Sequence[str]
KUZMIN = "YAL001C+YDL227C_tm1\tq\tYAL002W_dma1\ta\tdigenic\t\t-0.5\t0.01\t\t\t0.5\t0.03\n"
COSTANZO = (
    "Query Strain ID\tQuery allele name\tArray Strain ID\tArray allele name\tArraytype/Temp\t"
    "Genetic interaction score (ε)\tP-value\tQuery single mutant fitness (SMF)\tArray SMF\t"
    "Double mutant fitness\tDouble mutant fitness standard deviation\n"
)
PAIR = "YAL001C_sn1\ttfc3\tYAL002W_dma1\tvps8\tDMA30\t-0.1\t0.01\t0.9\t0.8\t0.6\t0.02\n"
TINY = ("--set", "min_width=2", "--set", "ratio=0.0", "--set", "population_samples=64", "--device", "cpu")
PROJECT = '[build-cache]\npreset = "true-path"\nmin-genes = 3\n\n[inspect.sample]\njson = true\n'
CACHE, RUN = f"{WORK}/cache", f"{WORK}/run"
LOOK: tuple[Words, ...] = (
    ("cache", "verify", CACHE, "--json"),
    ("inspect", "sample", "0", "--cache", CACHE, "--json"),
    ("inspect", "cache", "--cache", CACHE, "--json"),
    ("export", "--cache", CACHE, "--out", f"{WORK}/out.tsv", "--json"),
)
TRAIN: Words = ("train", CACHE, "--out", f"{WORK}/new", "--epochs", "1", "--batch-size", "32", *TINY, "--quiet")
USE: tuple[Words, ...] = (
    ("predict", RUN, "--genes", toy.GENES[0], "--genes", f"{toy.GENES[1]},{toy.GENES[2]}", "--json"),
    ("evaluate", RUN, "--cache", CACHE, "--json"),
    ("report", RUN, "--out", f"{WORK}/report.html", "--json"),
)
GO: Words = ("--obo", f"{WORK}/toy.obo", "--gaf", f"{WORK}/toy.gaf", "--gene-table", f"{WORK}/genes.tsv",
             "--min-genes", "3")  # fmt: skip
"""With five genes of a table of our own: SGD's 6,604 would cost each attempt half a second."""
SCREEN: Words = ("--dataset", "table", "--raw", f"{WORK}/screen.csv", "--phenotype", "growth")
PLACE: Words = ("--root", WORK, "--out", f"{WORK}/made", "--json")


CUT: Words = (*GO, *SCREEN, "--shard-size", "10", "--backend", "both", "--root", WORK, "--out", CACHE)
"""The build that was cut off."""
RESUME: Words = ("build-cache", *CUT, "--resume", "--json")


@dataclass(frozen=True)
class Kind:
    """One kind of file. `target` lies in the stock's `folder`.

    `sealing`: the manifest whose hashes are made right again after a mutation, so that only what the file says can
    give it away; what `cache verify` refuses then, no other command may read otherwise than it was.
    `sealed`: a hash or checksum covers the file: no command may ever find anything else in it than what was there.
    """

    name: str
    folder: str
    target: str
    mutators: str
    commands: tuple[Words, ...]
    sealing: str = ""
    sealed: bool = False
    weight: float = 1.0


def _reads(name: str, target: str, mutators: str, *commands: Words, sealed: bool = False) -> Kind:
    return Kind(name, "inputs", target, mutators, commands, sealed=sealed)


MANIFEST = "cache/manifest.json"
# fmt: off
OWN: tuple[Kind, ...] = (
    Kind("manifest.json", "cache", MANIFEST, "JSON", LOOK, sealing=MANIFEST, weight=2),
    Kind("manifest.json, hash kept", "cache", MANIFEST, "JSON", LOOK, sealed=True),
    *(
        Kind(f"hierarchy/{name}", "cache", f"cache/hierarchy/{name}.parquet", "PARQUET", LOOK, sealing=MANIFEST)
        for name in ("terms", "genes", "edges", "term_genes", "gene_rows")
    ),
    *(
        Kind(f"provenance/{name}", "cache", f"cache/provenance/{name}.parquet", "PARQUET", LOOK, sealing=MANIFEST)
        for name in ("strains", "query_groups")
    ),
    Kind("shard.parquet", "parquet", "cache/samples/part-00000.parquet", "PARQUET", LOOK, sealing=MANIFEST, weight=2),
    Kind("shard.parquet, trained on", "parquet", "cache/samples/part-00000.parquet", "PARQUET", (LOOK[0], TRAIN),
         sealing=MANIFEST, weight=0.3),
    Kind("shard.lmdb", "lmdb", "cache/samples/part-00000.lmdb", "BYTES", LOOK, sealing=MANIFEST, weight=2),
    Kind("part.json", "parts", "part0/part.json", "JSON",
         (("cache", "merge", f"{WORK}/part0", f"{WORK}/part1", "--out", CACHE, "--json"), *LOOK[:2]),
         sealing="part0/part.json"),
    Kind("plan.json", "unfinished", "cache.partial/plan.json", "JSON",
         (LOOK[1], RESUME, *LOOK[:2]), weight=0.5),
    Kind("records/*.json", "unfinished", "cache.partial/records/part-00000.json", "JSON",
         (RESUME, *LOOK[:2]), weight=0.5),
    Kind("CACHE.toml", "cache", "cache.toml", "TEXT",
         (("cache", "rebuild", CACHE, "--out", f"{WORK}/again", "--json"),), weight=0.5),
    Kind("gocell.toml", "project", "gocell.toml", "TEXT",
         (("config", "show", "--json"), ("verify-levels", *GO, "--json"))),
    Kind("latest", "cache", "latest", "TEXT",
         (("inspect", "sample", "0", "--root", WORK), ("cache", "ls", "--root", WORK))),
    Kind("sources.lock.json", "fetched", "sources.lock.json", "JSON",
         (("fetch", "go", "--offline", "--root", WORK, "--json"), ("fetch", "--root", WORK, "--json"))),
    Kind("run.json", "run", "run/run.json", "JSON", USE),
    Kind("config.toml", "run", "run/config.toml", "TEXT", USE),
    Kind("metrics.jsonl", "run", "run/metrics.jsonl", "TEXT", USE[2:]),
    Kind("best.safetensors", "run", "run/best.safetensors", "TENSORS", USE),
    Kind("last.safetensors", "run", "run/last.safetensors", "TENSORS",
         (("train", "--resume", "--out", RUN, "--json"), *USE[:1])),
    Kind("run's hierarchy", "run", "run/hierarchy/terms.parquet", "PARQUET", USE[:2], sealed=True),
    Kind("run's split", "run", "run/split.parquet", "PARQUET", USE[1:2], sealed=True),
    Kind("run's predictions", "run", "run/test.parquet", "PARQUET",
         (("compare", RUN, "--resamples", "100", "--json"),), sealed=True),
    Kind("pairs.parts", "pairs", "pairs.parquet.parts/00000.parquet", "PARQUET",
         (("predict", RUN, "--all-pairs", "--out", f"{WORK}/pairs.parquet", "--json"),)),
)
LEVELS: Words = ("verify-levels", "--scope", "hierarchy", "--json")
BUILD: Words = ("build-cache", *PLACE)
TABLE: Words = (*BUILD, *GO, "--dataset", "table")
READ: tuple[Kind, ...] = (
    _reads("OBO", "toy.obo", "TEXT", (*LEVELS, *GO), ("verify-levels", "--obo", f"{WORK}/toy.obo", "--json")),
    _reads("OBO, gzip", "toy.obo.gz", "BYTES", (*LEVELS, "--obo", f"{WORK}/toy.obo.gz", *GO[2:]), sealed=True),
    _reads("OBO, zip", "toy.zip", "ZIP", (*LEVELS, "--obo", f"{WORK}/toy.zip", *GO[2:])),
    _reads("GAF", "toy.gaf", "TEXT", (*BUILD, *GO, *SCREEN)),
    _reads("GAF, gzip", "toy.gaf.gz", "BYTES", (*LEVELS, *GO[:2], "--gaf", f"{WORK}/toy.gaf.gz", *GO[4:]), sealed=True),
    _reads("GPAD", "toy.gpad", "TEXT", (*LEVELS, *GO[:2], "--gaf", f"{WORK}/toy.gpad", "--gene-id", "id")),
    _reads("GPI", "toy.gpi", "TEXT", (*LEVELS, *GO[:4], "--gene-table", f"{WORK}/toy.gpi")),
    _reads("gene table", "genes.tsv", "TEXT", (*LEVELS, *GO)),
    _reads("gene list", "genes.txt", "TEXT", (*LEVELS, *GO[:6], "--genes", f"{WORK}/genes.txt", "--min-genes", "1")),
    _reads("DDOT", "ddot.txt", "TEXT", (*BUILD, "--hierarchy", f"{WORK}/ddot.txt", *SCREEN)),
    _reads("DCell topology", "topology.txt", "TEXT", (*BUILD, "--hierarchy", f"{WORK}/topology.txt", *SCREEN)),
    _reads("table, CSV", "screen.csv", "TEXT", (*BUILD, *GO, *SCREEN), LOOK[1]),
    _reads("table, TSV", "screen.tsv", "TEXT", (*TABLE, "--raw", f"{WORK}/screen.tsv")),
    _reads("table, xz", "screen.csv.xz", "BYTES", (*TABLE, "--raw", f"{WORK}/screen.csv.xz"), sealed=True),
    _reads("table, xlsx", "screen.xlsx", "ZIP", (*TABLE, "--raw", f"{WORK}/screen.xlsx")),
    _reads("table, Parquet", "screen.parquet", "PARQUET", (*TABLE, "--raw", f"{WORK}/screen.parquet")),
    _reads("Kuzmin 2018", "aao1729_data_s1.tsv", "TEXT",
           (*BUILD, *GO, "--dataset", "kuzmin2018", "--raw", f"{WORK}/aao1729_data_s1.tsv", "--phenotype", "fitness")),
    _reads("Costanzo 2016", "SGA_NxN.txt", "TEXT",
           (*BUILD, *GO, "--dataset", "costanzo2016", "--raw", f"{WORK}/SGA_NxN.txt", "--phenotype", "fitness")),
    _reads("build file", "build.toml", "TEXT", ("build-cache", "--config", f"{WORK}/build.toml", *PLACE)),
    _reads("run's settings", "settings.toml", "TEXT",
           ("train", f"{WORK}/cache", "--config", f"{WORK}/settings.toml", "--out", f"{WORK}/new", "--quiet")),
)
# fmt: on


def gocell(*words: object) -> str:
    """Run a command that succeeds, in a process of its own; its stdout."""
    done = completed(["gocell", *words], Path.cwd(), environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def _screen(separator: str = ",") -> str:
    """A hundred strains of one to three deletions; fitness is a product with a little of the row in it."""
    rows = [f"genes{separator}growth"]
    for number in range(100):
        genes = sorted({toy.GENES[number % 5], toy.GENES[number // 5 % 5], toy.GENES[number // 25 % 5]})
        rows.append(f"{'+'.join(genes)}{separator}{0.9 ** len(genes) + 0.001 * (number % 7):.4f}")
    return "\n".join(rows) + "\n"


def _block(term: int) -> str:
    """A term's three lines in DCell's topology."""
    genes = " ".join(toy.GENES[g] for g in toy.DIRECT.get(term, ()))
    children = " ".join(toy.term_id(child) for child, parent in toy.EDGES if parent == term)
    return f"ROOT: {toy.term_id(term)} {len(toy.CONTAINED[term])}\nGENES: {genes}\nTERMS: {children}\n"


def _write_inputs(folder: Path) -> None:
    """One good file of every kind that the world makes."""
    folder.mkdir()
    toy.write_obo(folder)
    toy.write_gaf(folder)
    rows = [gaf_row(YEAST, g, toy.term_id(t)) for t, genes in toy.DIRECT.items() for g in genes]
    gpi = "".join(f"SGD\t{i}\t{s}\t{n}\t{y}\tgene\ttaxon:559292\t\t\t\n" for i, s, n, y in YEAST.genes)
    names = "".join(f"{g}\t{s}\t\n" for g, s in zip(toy.GENES, toy.STANDARD, strict=True))
    edges = "".join(f"{toy.term_id(p)}\t{toy.term_id(c)}\tdefault\n" for c, p in toy.EDGES)
    genes = "".join(f"{toy.term_id(t)}\t{toy.GENES[g]}\tgene\n" for t, held in toy.DIRECT.items() for g in held)
    texts = {
        "toy.gpad": "!gpa-version: 1.1\n" + "\n".join(as_gpad(row, "1.1") for row in rows) + "\n",
        "toy.gpi": "!gpi-version: 1.2\n" + gpi,
        "genes.tsv": "systematic\tstandard\taliases\n" + names,
        "genes.txt": "\n".join(toy.GENES) + "\n",
        "ddot.txt": edges + genes,
        "topology.txt": "".join(map(_block, toy.TERMS)),
        "screen.csv": _screen(),
        "screen.tsv": _screen("\t"),
        "aao1729_data_s1.tsv": "\t".join(kuzmin.COLUMNS) + "\n" + KUZMIN * 20,
        "SGA_NxN.txt": COSTANZO + PAIR * 20,
        "settings.toml": "epochs = 1\nlr = 0.01\nmin_width = 2\nratio = 0.0\nbatch_size = 32\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    _write_packed(folder)


def _write_packed(folder: Path) -> None:
    import lzma
    import zipfile

    for name in ("toy.obo", "toy.gaf"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), mtime=0))
    (folder / "screen.csv.xz").write_bytes(lzma.compress((folder / "screen.csv").read_bytes()))
    lines = [line.split(",") for line in _screen().splitlines()[1:]]
    columns = {"genes": [genes for genes, _ in lines], "growth": [float(value) for _, value in lines]}
    pq.write_table(pa.table(columns), folder / "screen.parquet")
    with zipfile.ZipFile(folder / "toy.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy.obo", (folder / "toy.obo").read_bytes())
    with xlsxwriter.Workbook(folder / "screen.xlsx") as book:
        sheet = book.add_worksheet("screen")
        for number, line in enumerate(_screen().splitlines()):
            genes, value = line.split(",")
            sheet.write_row(number, 0, [genes, value if number == 0 else float(value)])


def _words(folder: Path, words: Words) -> list[str]:
    return [word.replace(WORK, str(folder)) for word in words]


def _copy(source: Path, folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name)
        else:
            shutil.copy2(source / name, folder / name)


def stock(folder: Path) -> Path:
    """Make the folders that the kinds name, each with what its commands need."""
    inputs = folder / "inputs"
    _write_inputs(inputs)
    build = ["build-cache", *_words(inputs, (*GO, *SCREEN)), "--shard-size", 40, "--duplicates", "keep", "--root"]
    for name, backend in (("cache", "both"), ("lmdb", "lmdb"), ("parquet", "parquet")):
        gocell(*build, folder / name, "--out", folder / name / "cache", "--backend", backend)
    _copy(folder / "cache", inputs, "cache")
    (inputs / "build.toml").write_bytes((folder / "cache" / "cache.toml").read_bytes())
    for i in range(2):
        gocell(*build, folder / "parts", "--out", folder / "parts" / "cache", "--part", f"{i}/2")
        next((folder / "parts").glob(f"cache.part-{i}-of-2")).rename(folder / "parts" / f"part{i}")
    _copy(inputs, folder / "project", "toy.obo", "toy.gaf", "genes.tsv")
    (folder / "project" / "gocell.toml").write_text(PROJECT, "utf-8")
    _copy(inputs, folder / "unfinished", "toy.obo", "toy.gaf", "genes.tsv", "screen.csv")
    _interrupted(folder, folder / "unfinished")
    _copy(folder / "cache", folder / "run", "cache")
    gocell(
        "train",
        folder / "run" / "cache",
        "--out",
        folder / "run" / "run",
        "--epochs",
        2,
        "--batch-size",
        32,
        *TINY,
        "--set",
        "fractions=[0.6,0.2,0.2]",
    )
    _copy(folder / "run", folder / "pairs", "run")
    _interrupted_pairs(folder)
    place = folder / "fetched" / "raw" / "go" / "2020-01-01"
    place.mkdir(parents=True)
    (place / "go-basic.obo").write_text(toy.obo_text() + "\n[Typedef]\nid: part_of\nname: part of\n", "utf-8")
    gocell("fetch", "go", "--offline", "--root", folder / "fetched")
    return folder


def _interrupted(folder: Path, place: Path) -> None:
    """A build that was killed when its first shard had its record."""
    words = _words(place, ("build-cache", *CUT))
    _killed_before(folder / "tries", place, words, r"os.rename .*records/.*part-00001")


def _interrupted_pairs(folder: Path) -> None:
    """A table of pairs that was killed when its only part was there."""
    words = ["predict", str(folder / "pairs" / "run"), "--all-pairs", "--out", str(folder / "pairs" / "pairs.parquet")]
    _killed_before(folder / "tries", folder / "pairs", words, r"os.rename .*pairs\.tmp.*parquet")


def _killed_before(tries: Path, place: Path, words: list[str], step: str) -> None:
    def run(number: int, folder: Path) -> None:
        argv = ["killed_at", number, 9, folder, *(word.replace(str(place), str(folder)) for word in words)]
        completed(argv, Path.cwd(), environment(), "tests.attacks.killed_at:main")

    shutil.copytree(place, tries)
    run(0, tries)
    steps = (tries / "steps.txt").read_text("utf-8").splitlines()
    number = next(n for n, told in enumerate(steps, start=1) if re.match(step, told))
    shutil.rmtree(tries)
    run(number, place)
