"""Where the world's files are: names, URLs, members of archives, and the sha256 of those whose content is known.

A source without a published sha256 is trusted on first use and held to it ever after: see `lock`.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from gocell_cli.errors import UsageError

CURRENT = "current"
FIRST_RELEASE = date(1999, 1, 1)
"""The year before the paper on GO (doi:10.1038/75556); the archive begins in 2004."""
NO_FILE_NEEDED = "gocell build-cache --dataset essentiality"


@dataclass(frozen=True)
class RemoteFile:
    """One file as it lies in the data root; `optional` where the archive may lack it.

    `most` is how many bytes it may have: several times what it had when this was written, for releases grow.
    """

    name: str
    sha256: str | None = None
    optional: bool = False
    most: int = 256 << 20


@dataclass(frozen=True)
class RemoteSource:
    """What one URL holds: a file, or a zip archive of `files`.

    `flag` is the option that takes a local copy, `mirror_path` the URL's part below a mirror's base URL,
    `release` the date of a GO release (`current` where the server chooses), None for data sets. `most` is how many
    bytes the URL may hold.
    """

    name: str
    about: str
    url: str
    mirror_path: str
    files: tuple[RemoteFile, ...]
    flag: str
    works_without: str = NO_FILE_NEEDED
    release: str | None = None
    most: int = 256 << 20

    @property
    def file(self) -> str:
        """Name of the first file, for sources of one table."""
        return self.files[0].name

    @property
    def zipped(self) -> bool:
        """Whether the URL is an archive of the files, not the file itself."""
        return self.mirror_path.endswith(".zip")

    @property
    def published(self) -> bool:
        """Whether the sha256 of each file that cannot be done without is published."""
        return all(file.sha256 is not None or file.optional for file in self.files)

    @property
    def folder(self) -> str:
        """Folder below `ROOT/raw` that holds the files; it ends in DATE while the server has yet to say which."""
        if self.release is None:
            return self.name
        # The key by which the lock file and the folder know it: one folder a date, so that releases lie side by side.
        return f"{self.name}/{'DATE' if self.release == CURRENT else self.release}"

    @property
    def command(self) -> str:
        """The command that fetches it."""
        dated = f" --release {self.release}" if self.release not in (None, CURRENT) else ""
        return f"gocell fetch {self.name}{dated}"


def release_date(text: str) -> str:
    """Return a GO release's date YYYY-MM-DD; raises UsageError where it is none."""
    if is_release(text):
        return text
    raise UsageError(
        f"--release {text}: not a date YYYY-MM-DD on which a release can have been", hint="--release 2025-03-16"
    )


def is_release(text: str) -> bool:
    """Return whether a text is a date YYYY-MM-DD on which GO can have been released."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    # fromisoformat also takes 20250316 and 2025-W11-7, which would be other folders for the same day. Tomorrow it may
    # be already where the release was made.
    return day.isoformat() == text and FIRST_RELEASE <= day <= date.today() + timedelta(days=1)


def of_release(source: RemoteSource, text: str | None) -> RemoteSource:
    """Return GO or its annotations as they were released on a date; None leaves the server's current one."""
    if text is None:
        return source
    day = release_date(text)
    path = f"{day}/{'ontology' if source.name == GO.name else 'annotations'}/{source.file}"
    return replace(source, url=f"http://release.geneontology.org/{path}", mirror_path=path, release=day)


# GO publishes no sha256 of its releases: each is known by the version it states, and locked at first use.
GO = RemoteSource(
    name="go",
    about="Gene Ontology, go-basic.obo",
    url="http://purl.obolibrary.org/obo/go/go-basic.obo",
    mirror_path="go-basic.obo",
    files=(RemoteFile("go-basic.obo"),),
    flag="--obo FILE",
    works_without="gocell verify-levels (the bundled ontology)",
    release=CURRENT,
)
ANNOTATIONS = RemoteSource(
    name="annotations",
    about="yeast annotations (SGD), sgd.gaf.gz",
    url="http://current.geneontology.org/annotations/sgd.gaf.gz",
    mirror_path="sgd.gaf.gz",
    files=(RemoteFile("sgd.gaf.gz"),),
    flag="--gaf FILE",
    works_without="gocell build-cache (the bundled annotations)",
    release=CURRENT,
)
# torchcell's mirror of Data S1 (also Dryad, doi:10.5061/dryad.tt367); whoever serves it, the sha256 tells.
KUZMIN2018 = RemoteSource(
    name="kuzmin2018",
    about="Kuzmin et al. 2018, Data S1",
    url="https://raw.githubusercontent.com/Mjvolk3/torchcell/main/data/host/kuzmin2018/aao1729_data_s1.zip",
    mirror_path="aao1729_data_s1.zip",
    files=(RemoteFile("aao1729_data_s1.tsv", "c82b60f98590071fcb07b74b672958a5863b58e03b78631e6235cb664ee82afb"),),
    flag="--raw FILE",
)
KUZMIN2020 = RemoteSource(
    name="kuzmin2020",
    about="Kuzmin et al. 2020, Tables S1, S3, S5",
    url="https://uofi.box.com/shared/static/464ogx5kpafav7i3zv7gesb9lcn0dm94.zip",
    mirror_path="464ogx5kpafav7i3zv7gesb9lcn0dm94.zip",
    files=(
        RemoteFile("Table-S1.xlsx", "4180577d53d5012c6c747227cbeca8a2d09f59bd8028d3bb2f5fd84601c77def"),
        RemoteFile("Table-S3.xlsx", "625420bed5de3563c9f1b4f1909a627aa4d8dd1b629c3f8a3596eb99e132c54f"),
        RemoteFile("Table-S5.xlsx", optional=True),
    ),
    flag="--raw DIR",
)
COSTANZO2016 = RemoteSource(
    name="costanzo2016",
    about="Costanzo et al. 2016, pair-wise format",
    url="https://thecellmap.org/costanzo2016/data_files/"
    "Raw%20genetic%20interaction%20datasets:%20Pair-wise%20interaction%20format.zip",
    mirror_path="Raw%20genetic%20interaction%20datasets:%20Pair-wise%20interaction%20format.zip",
    files=(
        # 3.5 GB in all.
        RemoteFile("SGA_NxN.txt", "c413d1bfab7e79a2db142ba3e43572411216f24c23df71bb1e180163da1304ae", most=4 << 30),
        RemoteFile("SGA_ExN_NxE.txt", "d8b183a80da1d52bbf66c134d4707c1c243c2cf1689859aee72c28e4d4adffca", most=4 << 30),
        RemoteFile("SGA_ExE.txt", "84dfe41a09192479842dc0055373c35afcb5246c8e11bb9724326615f5162f7d", most=4 << 30),
        RemoteFile("SGA_DAmP.txt", "581eafbc7a30155f5af7777101e6f94cfd03fcf0242ee76ecce47aa88d75ebc8", most=4 << 30),
        RemoteFile("strain_ids_and_single_mutant_fitness.xlsx", optional=True, most=16 << 20),
    ),
    flag="--raw DIR",
    most=4 << 30,
)
SOURCES = {source.name: source for source in (GO, ANNOTATIONS, KUZMIN2018, KUZMIN2020, COSTANZO2016)}
