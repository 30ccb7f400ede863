"""`gocell gene-vectors`: numbers of each gene of a cache, made of real data at hand, for `train --gene-vectors`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.shell.completion import complete_cache
from gocell_cli.commands.shell.options import Json, Root
from gocell_cli.commands.shell.places import Force, data_root, find_cache
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table, write_table
from gocell_cli.commands.shell.terminal import note, show, show_result

if TYPE_CHECKING:
    from gocell_cli.named_vectors import NamedVectors
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.baselines.made_vectors import MadeVectors

CacheArgument = Annotated[
    Path | None,
    typer.Argument(
        help="Cache whose genes they are of; default: the one ROOT/latest names.", autocompletion=complete_cache
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help=f"File to write: .npz, or a table: {KINDS}.")]
Size = Annotated[int, typer.Option("--size", min=1, max=512, help="Numbers that a gene's terms are reduced to.")]
Sgd = Annotated[
    Path | None, typer.Option("--sgd", help="SGD_features.tab, for the length of proteins, introns, verified ORFs.")
]
NPZ = ".npz"
SHOWN = 5
"""Genes to name of those that lack something; JSON has all."""


def gene_vectors(
    out: Out,
    cache: CacheArgument = None,
    size: Size = 32,
    sgd: Sgd = None,
    root: Root = None,
    overwrite: Force = False,
    json: Json = False,
) -> None:
    """Write numbers of each gene of a cache: its terms in short, essentiality, published fitness, SGD's table.

    Terms: which of them contain the gene, by their information content, reduced by SVD to --size numbers. Essentiality
    is the bundled list (yeast); fitness is that of single mutants that the cache's data set publishes. What is the
    cache's own label, or what that is made of, is left out. A missing number is an empty cell.
    """
    require_table(out, overwrite=overwrite, json=json, more=(NPZ,))
    found = find_cache(cache, data_root(root))
    from gocell_cli.storage.reader import Cache

    opened = Cache(found)
    others = _others(sgd)
    from gocell_cli.training.baselines.made_vectors import make_vectors, vector_table, write_npz

    made = make_vectors(opened, size, others)
    if out.suffix == NPZ:
        write_npz(out, made, opened.hierarchy)
    else:
        write_table(vector_table(made, opened.hierarchy), out)
    document = _document(out, opened, made)
    for name, why in made.left_out.items():
        note(f"{name} is left out: {why}")
    if is_stdout(out):
        return
    show_result(document, lambda: _tell(document), json=json, essence=str(out))


def _others(sgd: Path | None) -> "list[NamedVectors]":
    from gocell_cli.sources.go.bundle import load_essential, load_genes
    from gocell_cli.sources.screens.essentiality import essential_vectors

    found = [essential_vectors(load_genes(), load_essential())]
    if sgd is not None:
        from gocell_cli.sources.go.sgd_numbers import read_sgd_numbers

        found.append(read_sgd_numbers(sgd))
    return found


def _document(out: Path, cache: "Cache", made: "MadeVectors") -> dict[str, Any]:
    import numpy as np

    names = cache.hierarchy.gene_names
    blocks = []
    for block in made.blocks:
        lacks = np.flatnonzero(np.isnan(block.values).any(axis=1)).tolist()
        blocks.append(
            {
                "source": block.source,
                "columns": list(block.columns),
                "genes": len(names) - len(lacks),
                "lacking": [names[g] for g in lacks],
            }
        )
    return {
        "out": str(out),
        "genes": len(names),
        "columns": len(made.columns),
        "blocks": blocks,
        "left_out": made.left_out,
    }


def _tell(document: dict[str, Any]) -> None:
    show(f"{document['columns']:,} numbers of {document['genes']:,} genes in {document['out']}")
    for block in document["blocks"]:
        columns, lacking = block["columns"], block["lacking"]
        named = columns[0] if len(columns) == 1 else f"{columns[0]} .. {columns[-1]}"
        more = ", .." if len(lacking) > SHOWN else ""
        lack = f"; {len(lacking):,} lack it: {', '.join(lacking[:SHOWN])}{more}" if lacking else ""
        show(f"  {named} ({block['source']}): {block['genes']:,} genes{lack}")
