"""Ready hierarchies: both formats by hand, told apart by content, and the bundled hierarchy there and back."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.domain.genes import GeneTable, KnownGenes
from gocell_cli.domain.term_filters import PRESETS, READY
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.errors import CycleError, InvalidInput
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.releases import Release, load_hierarchy, load_release, read_hierarchy
from gocell_cli.sources.hierarchies.ready import ReadyHierarchy
from tests import toy
from tests.attempts import some

EDGES = [f"{toy.term_id(p)}\t{toy.term_id(c)}\tdefault" for c, p in toy.EDGES]
GENES = [f"{toy.term_id(t)}\t{toy.GENES[g]}\tgene" for t, genes in toy.DIRECT.items() for g in genes]
DDOT = "\n".join([*EDGES, *GENES]) + "\n"
TOPOLOGY = "".join(
    f"ROOT: {toy.term_id(t)} {len(toy.CONTAINED[t])}\n"
    f"GENES: {''.join(toy.GENES[g] + ' ' for g in toy.DIRECT.get(t, ()))}\n"
    f"TERMS: {''.join(toy.term_id(c) + ' ' for c, p in toy.EDGES if p == t)}\n"
    for t in toy.TERMS
)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "made.ont"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str | bytes, table: GeneTable | None = None) -> ReadyHierarchy:
    return read_hierarchy(write(folder, text), KnownGenes(table if table is not None else toy.gene_table()))


def used(ready: ReadyHierarchy) -> TermHierarchy:
    return plan_hierarchy(ready.ontology, ready.rows, ready.genes, READY)[0]


def pairs(first: np.ndarray, second: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(first.tolist(), second.tolist(), strict=True))


CLIXO = "# CLIXO v0.3\n" + DDOT.replace("default", "default\t0.5").replace("gene\n", "gene\t1\n")
PANDAS = "Parent\tChild\tEdgeType\n" + DDOT.replace("default", "Child-Parent").replace("\tgene", "\tGene-Term")
VARIANTS = {
    "ddot": DDOT,
    "crlf": DDOT.replace("\n", "\r\n"),
    "no-last-newline": DDOT.rstrip("\n"),
    "bom": "\ufeff" + DDOT,
    "blanks": DDOT.replace("\t", "  "),
    "genes-first": "\n".join([*GENES, "", *EDGES]),
    "clixo": CLIXO,
    "to_table": PANDAS,
    "gzip": gzip.compress(DDOT.encode()),
    "topology": TOPOLOGY,
    "topology-crlf": TOPOLOGY.replace("\n", "\r\n"),
    "topology-without-sizes": "".join(
        " ".join(x.split()[:2]) + "\n" if x.startswith("ROOT") else x + "\n" for x in TOPOLOGY.splitlines()
    ),
}


@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS)
def test_the_toy_in_every_form(tmp_path: Path, text: str | bytes) -> None:
    ready = read(tmp_path, text)
    assert ready.format == (
        "DCell topology" if b"ROOT:" in (tmp_path / "made.ont").read_bytes() else "DDOT/DrugCell table"
    )
    assert (ready.genes, ready.roots) == (toy.gene_table(), 1)
    assert (ready.ontology.dropped, ready.rows.dropped) == ({}, {})
    terms = used(ready)
    assert terms.ids == tuple(map(toy.term_id, toy.TERMS))
    assert set(terms.names) == set(terms.namespaces) == {""}
    assert pairs(terms.edges.child, terms.edges.parent) == {(c - 1, p - 1) for c, p in toy.EDGES}
    assert pairs(terms.row_term, terms.row_gene) == {(t - 1, g) for t, genes in toy.DIRECT.items() for g in genes}
    assert terms.groupings["stratum"].level.tolist() == [toy.DEPTH[t] for t in toy.TERMS]
    assert terms.groupings["level"].level.tolist() == [toy.LEVEL[t] for t in toy.TERMS]
    assert terms.groupings["depth"].level.tolist() == [toy.DEPTH[t] for t in toy.TERMS]
    assert terms.groupings["height"].level.tolist() == [toy.HEIGHT[t] for t in toy.TERMS]
    assert terms.contained_genes.tolist() == [len(toy.CONTAINED[t]) for t in toy.TERMS]


@pytest.fixture(scope="module")
def bundled() -> Release:
    return load_release(None, None)


# A format knows nothing of presets: two pairs of the six tell as much.
@pytest.mark.parametrize(
    ("preset", "form"), some(2, [(preset, form) for preset in PRESETS for form in ("ddot", "topology")])
)
def test_the_bundled_hierarchies_there_and_back(tmp_path: Path, bundled: Release, preset: str, form: str) -> None:
    release = bundled
    terms, _ = plan_hierarchy(release.ontology, release.annotations, release.genes, PRESETS[preset])
    ready = load_hierarchy(write(tmp_path, (as_ddot if form == "ddot" else as_topology)(terms, release.genes)))
    assert (ready.roots, ready.ontology.dropped, ready.annotations.dropped) == (1, {}, {})
    again, annotations = plan_hierarchy(ready.ontology, ready.annotations, ready.genes, READY)
    assert annotations.dropped_rows == {}
    assert again.ids == terms.ids
    for ours, theirs in ((again.edges.child, terms.edges.child), (again.edges.parent, terms.edges.parent)):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(again.row_term, terms.row_term)
    np.testing.assert_array_equal(again.row_gene, terms.row_gene)
    for by in ("stratum", "height"):
        np.testing.assert_array_equal(again.groupings[by].level, terms.groupings[by].level)
    np.testing.assert_array_equal(again.contained_genes, terms.contained_genes)


def as_ddot(terms: TermHierarchy, genes: GeneTable) -> str:
    edges = zip(terms.edges.child.tolist(), terms.edges.parent.tolist(), strict=True)
    lines = [f"{terms.ids[p]}\t{terms.ids[c]}\tdefault" for c, p in edges]
    rows = zip(terms.row_term.tolist(), terms.row_gene.tolist(), strict=True)
    return "\n".join([*lines, *(f"{terms.ids[t]}\t{genes.systematic[g]}\tgene" for t, g in rows)])


def as_topology(terms: TermHierarchy, genes: GeneTable) -> str:
    children: list[list[str]] = [[] for _ in terms.ids]
    for c, p in zip(terms.edges.child.tolist(), terms.edges.parent.tolist(), strict=True):
        children[p].append(terms.ids[c])
    direct: list[list[str]] = [[] for _ in terms.ids]
    for t, g in zip(terms.row_term.tolist(), terms.row_gene.tolist(), strict=True):
        direct[t].append(genes.systematic[g])
    return "".join(
        f"ROOT: {term} {terms.contained_genes[t]}\nGENES: {' '.join(direct[t])}\nTERMS: {' '.join(children[t])}\n"
        for t, term in enumerate(terms.ids)
    )


def test_several_roots_get_the_super_root(tmp_path: Path) -> None:
    ready = read(tmp_path, DDOT + "OTHER\tYAL001C\tgene\n")
    assert ready.roots == 2
    terms = used(ready)
    assert terms.ids[-1] == "OTHER"
    root = terms.ids.index("GO:ROOT")
    assert {terms.ids[c] for c, p in pairs(terms.edges.child, terms.edges.parent) if p == root} == {
        "GO:0000001",
        "OTHER",
    }
    assert terms.names[root] == "GO Super Node"


def test_a_super_root_of_its_own_may_be_the_only_root(tmp_path: Path) -> None:
    own = DDOT.replace(toy.term_id(1), "GO:ROOT")
    assert "GO:ROOT" in used(read(tmp_path, own)).ids
    with pytest.raises(InvalidInput, match="a term is called GO:ROOT"):
        used(read(tmp_path, own + "OTHER\tYAL001C\tgene\n"))


def test_what_stands_twice_counts_once(tmp_path: Path) -> None:
    ready = read(tmp_path, DDOT + EDGES[0] + "\n" + GENES[0] + "\n" + GENES[0] + "\n")
    assert ready.ontology.dropped == {"repeated_edges": 1}
    assert ready.rows.dropped == {"repeated_gene": 2}
    terms, annotations = plan_hierarchy(ready.ontology, ready.rows, ready.genes, READY)
    assert (annotations.rows_read, annotations.dropped_rows) == (len(GENES) + 2, {"repeated_gene": 2})
    assert (len(terms.edges), len(terms.row_term)) == (len(EDGES), len(GENES))


def test_genes_unknown_to_sgd_are_counted(tmp_path: Path) -> None:
    text = DDOT + f"{toy.term_id(6)}\tYZZ999W\tgene\nEMPTY\tYZZ998W\tgene\n"
    ready = read_hierarchy(write(tmp_path, text), KnownGenes(bundle.load_genes()))
    naming = ready.rows.naming
    assert naming is not None
    assert (naming.gene_id, naming.objects, naming.named) == ("systematic", 7, 5)
    terms, annotations = plan_hierarchy(ready.ontology, ready.rows, ready.genes, READY)
    assert annotations.dropped_rows == {"unknown_gene": 2}
    assert dict(terms.funnel) == {"hierarchy": 8, "with genes": 7}  # both count GO:ROOT


@pytest.mark.parametrize("spelling", ["standard", "lower", "id", "mixed"])
def test_a_hierarchy_may_call_genes_by_any_of_their_names(tmp_path: Path, spelling: str) -> None:
    orfs = bundle.load_genes()
    text = DDOT
    for i, orf in enumerate(toy.GENES):
        gene = orfs.index[orf]
        names = {"standard": orfs.standard[gene], "lower": orf.lower(), "id": orfs.ids[gene][0]}
        names["mixed"] = list(names.values())[i % 3]
        text = text.replace(f"\t{orf}\t", f"\t{names[spelling]}\t")
    ready = read_hierarchy(write(tmp_path, text), KnownGenes(orfs))
    plain = read_hierarchy(write(tmp_path, DDOT), KnownGenes(orfs))
    assert ready.genes is plain.genes is orfs
    assert (ready.rows.names, ready.rows.found.rows_found) == (plain.rows.names, len(GENES))  # type: ignore[union-attr]


def test_genes_of_another_organism_are_the_files_own(tmp_path: Path) -> None:
    human = dict(zip(toy.GENES, ("TP53", "BRCA1", "ACTB", "AURKB", "NUDT4B"), strict=True))
    text = DDOT
    for orf, symbol in human.items():
        text = text.replace(orf, symbol)
    ready = read_hierarchy(write(tmp_path, text), KnownGenes(bundle.load_genes()))
    assert ready.genes.systematic == tuple(sorted(human.values()))
    assert ready.rows.naming is not None
    assert ready.rows.naming.options == {"gene_id": "file"}
    assert len(used(ready).row_term) == len(GENES)


def test_a_size_that_differs_is_counted(tmp_path: Path) -> None:
    assert read(tmp_path, TOPOLOGY.replace("ROOT: GO:0000002 4", "ROOT: GO:0000002 7")).ontology.dropped == {
        "sizes_that_differ": 1
    }


def test_a_cycle_is_named_with_its_last_line(tmp_path: Path) -> None:
    lines = DDOT.splitlines()
    lines.insert(9, f"{toy.term_id(6)}\t{toy.term_id(2)}\tdefault")  # 2 -> 4 -> 6 -> 2, or longer
    with pytest.raises(CycleError) as caught:
        read(tmp_path, "\n".join(lines))
    assert f"{tmp_path / 'made.ont'}:10: the ontology has a cycle" in caught.value.message
    assert {toy.term_id(2), toy.term_id(6)} <= set(caught.value.cycle)
    assert "--relations" not in caught.value.hint


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("", "", "the file is empty"),
        ("# nothing\n\n", "", "no gene in it"),
        ("\n".join(EDGES), "", "no gene in it"),
        ("A\tB\n", ":1", "not the three columns"),
        ("A\tB\tdefault\t1\t2\n", ":1", "not the three columns"),
        ("A\t\tdefault\n", ":1", "not the three columns"),
        ("one\n", ":1", "not the three columns"),
        (DDOT + "A\tB\tpart_of\n", f":{len(EDGES) + len(GENES) + 1}", "neither default nor gene: 'part_of'"),
        ("A\tA\tdefault\n", ":1", "A is its own parent"),
        (DDOT + f"{toy.term_id(2)}\t|{toy.GENES[0]}\tgene", ":16", f"'|{toy.GENES[0]}' is no gene, though"),
        (DDOT + f"{toy.term_id(2)}\t{toy.GENES[0]}/etc/passwd\tgene", ":16", "is no gene, though"),
        (DDOT + f"{toy.term_id(2)}\t{toy.term_id(6)}\tgene", ":16", "GO:0000006 stands here as a gene, and in line 7"),
        ("ROOT: A 1\nGENES: x\n", ":1", "A has no TERMS: line"),
        ("ROOT: A 1\nTERMS:\nROOT: B 1\nGENES: x\nTERMS:\n", ":1", "A has no GENES: line"),
        ("ROOT: A 1\nGENES: x\nGENES: y\nTERMS:\n", ":3", "a second GENES: line of A"),
        ("ROOT: A 1\nGENES: x\nTERMS: B\n", ":3", "A has a child B that no ROOT: line describes"),
        ("ROOT: A 1\nGENES: x\nTERMS:\nROOT: A 1\nGENES:\nTERMS:\n", ":4", "A stands here again; first in line 1"),
        ("ROOT: A many\nGENES: x\nTERMS:\n", ":1", "ROOT: needs a term and its number of genes"),
        (f"ROOT: A {'9' * 5000}\nGENES: x\nTERMS:\n", ":1", "ROOT: needs a term and its number of genes"),
        ("ROOT: A \u0663\nGENES: x\nTERMS:\n", ":1", "ROOT: needs a term and its number of genes"),
        ("ROOT:\nGENES: x\nTERMS:\n", ":1", "ROOT: needs a term"),
        ("ROOT: A 1\nGENES: x\nTERMS: A\n", ":3", "A is its own parent"),
        ("ROOT: A 1\nGENE: x\nTERMS:\n", ":2", "not one of ROOT:, GENES:, TERMS:"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, text: str, where: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, text)
    assert caught.value.message.startswith(f"{tmp_path / 'made.ont'}{where}: ")
    assert reason in caught.value.message
    assert caught.value.exit_code == 4
