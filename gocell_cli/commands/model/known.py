"""What a training is told beside its samples, and what is said of it: gene vectors, published fitness of strains."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import SourceMissing

if TYPE_CHECKING:
    from gocell_cli.named_vectors import NamedVectors
    from gocell_cli.run_record import RunRecord, WarmStartRecord
    from gocell_cli.training.data.gene_vectors import GeneVectors
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.trainer import Trainer

GeneVectorFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--gene-vectors",
        help="Numbers of each gene, for effects of genes: TSV, CSV, Parquet or npz with gene names; repeatable.",
    ),
]


def whole_paths(files: Sequence[Path] | None) -> list[str] | None:
    """Return the whole paths of files, which a run's settings hold; None where none is given."""
    return [os.path.abspath(file) for file in files] if files else None  # noqa: PTH100 resolve() would follow links


def require_vector_files(config: "RunConfig") -> None:
    """Raise SourceMissing where a file of gene vectors is not there; before NumPy is loaded."""
    for file in config.gene_vectors:
        if not os.access(file, os.R_OK):
            why = "Permission denied" if Path(file).exists() else "no such file"
            raise SourceMissing(f"{file}: cannot be read", why=why, hint="gocell gene-vectors --out FILE makes one")


def read_vector_files(config: "RunConfig") -> "list[NamedVectors] | None":
    """Return what the files of gene vectors say, None where there are none."""
    if not config.gene_vectors:
        return None
    from gocell_cli.sources.screens.vector_table import read

    return [read(Path(file)) for file in config.gene_vectors]


def tell_known(trainer: "Trainer") -> None:
    """Say on stderr what a run knows of its genes and strains beside the samples, and what is missing of it."""
    from gocell_cli.training.runs.voices import asked_voices

    tell_vectors(trainer.samples.vectors)
    found = trainer.store.record().strain_fitness
    if found is None:
        return
    having = f"of the query strain in {found.query:,} and of the array strain in {found.array:,}"
    other = f" ({found.borrowed:,} times that of the gene's other strains)" if found.borrowed else ""
    alone = not asked_voices(trainer.config)
    why = found.withheld or ("there is no voice beside the network" if alone else "")
    told = f"not used: {why}" if why else "told to the voices beside the network"
    note(f"published fitness {having} of {found.samples:,} samples{other} is {told}", "train")


def tell_vectors(vectors: "GeneVectors | None") -> None:
    """Say on stderr what gene vectors a training takes, and what of their files was left out."""
    if vectors is None:
        return
    who = "the wide part, and to a network of gene_weights deviation or direction"
    note(f"{len(vectors.names):,} numbers of each gene are told to {who}", "gene vectors")
    for line in vectors.notes:
        note(line, "gene vectors")


def tell_warm_start(record: "RunRecord") -> None:
    """Say on stderr what a run begins with of another one, what of it is the seed's, and what makes its test unfair."""
    found = record.warm_start
    if found is None:
        return
    for told in _begun_with(found):
        note(told, "weights")
    if found.phenotype != ", ".join(record.kinds):
        note(f"its heads predict {found.phenotype}, this run's {', '.join(record.kinds)}", "weights")
    if found.test_met_before is None:
        note("that run does not say by which genotypes it was trained: test samples may be among them", "warning")
    elif found.test_met_before:
        note(
            f"{found.test_met_before:,} of {record.split.test:,} test samples are of genotypes by which that run was "
            f"trained or chosen: their figures are no test. --split {found.run} keeps its test part apart",
            "warning",
        )


def _begun_with(found: "WarmStartRecord") -> tuple[str, str]:
    """What is another run's, and what is left out on either side."""
    return (
        f"of {found.run}: {found.terms_copied:,} of {found.terms:,} terms ({found.new_terms:,} are not there, "
        f"{found.other_width:,} have another width there), {found.links_copied:,} of {found.links:,} children, "
        f"{found.pairs_copied:,} of {found.pairs:,} direct genes: {found.numbers_copied:,} of {found.numbers:,} numbers"
        "; the others are the seed's",
        f"not here: {found.terms_not_here:,} of its {found.terms_there:,} terms and {found.genes_not_here:,} of its "
        f"genes; {found.new_genes:,} genes are new; warm_start.tsv has a line for each term",
    )
