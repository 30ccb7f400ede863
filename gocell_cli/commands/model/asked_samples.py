"""The samples of a run as its settings ask for them, with the files that they name: of a split, of gene vectors."""

from typing import TYPE_CHECKING

from gocell_cli.commands.model.known import read_vector_files, require_vector_files
from gocell_cli.commands.model.split import read_split_file, require_split_file

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.samples import RunSamples


def require_files(config: "RunConfig") -> None:
    """Raise SourceMissing, before anything is read, for a file of the settings that is not there."""
    require_split_file(config.split)
    require_vector_files(config)


def read_samples(cache: "Cache", config: "RunConfig") -> "RunSamples":
    """Return the samples of a run, its files read; raises as RunSamples.of does, InvalidInput for a file."""
    from gocell_cli.training.runs.samples import RunSamples

    return RunSamples.of(cache, config, named=read_split_file(cache, config), vectors=read_vector_files(config))
