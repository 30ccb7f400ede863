"""Where the world's files are: names, URLs, and the sha256 of those whose content is known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteTable:
    """A table inside a zip archive at a URL; `file` is its name in the data root, `sha256` the table's."""

    dataset: str
    url: str
    file: str
    sha256: str

    @property
    def archive(self) -> str:
        """Name of the archive, the URL's last part."""
        return self.url.rsplit("/", 1)[-1]


KUZMIN2018 = RemoteTable(
    dataset="kuzmin2018",
    url="https://raw.githubusercontent.com/Mjvolk3/torchcell/main/data/host/kuzmin2018/aao1729_data_s1.zip",
    file="aao1729_data_s1.tsv",
    sha256="c82b60f98590071fcb07b74b672958a5863b58e03b78631e6235cb664ee82afb",
)
