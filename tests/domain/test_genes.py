"""Names of genes: systematic, standard, alias, id; and lists of them."""

from gocell_cli.domain.genes import Gene, GeneList, make_gene_list, make_gene_table

TABLE = make_gene_table(
    [
        Gene("YAL002W", "VPS8", ("TFC3", "shared", "FUN15"), "Verified", ("S2", "SGD:S2")),
        ("YAL001C", "TFC3", ("FUN24", "shared"), "Verified"),
        ("YAL003W", "", ("YAL001C", ""), "Dubious"),
        ("YAL004W", "TWICE", (), "Dubious"),
        ("YAL005C", "TWICE", (), "Verified"),
    ]
)


def test_a_gene_is_found_by_any_name_that_is_its_own() -> None:
    names = ("YAL001C", "TFC3", "FUN24", "VPS8", "fun15", "SGD:S2")
    assert [TABLE.lookup.find(name).genes for name in names] == [(0,), (0,), (0,), (1,), (1,), (1,)]
    assert [TABLE.lookup.find(name).genes for name in ("shared", "TWICE", "", "nobody")] == [(0, 1), (3, 4), (), ()]


def test_a_table_made_of_its_genes_is_the_same() -> None:
    assert make_gene_table(TABLE.genes()) == TABLE
    assert [g.ids for g in TABLE.genes()] == [(), ("S2", "SGD:S2"), (), (), ()]


def test_a_list_names_each_gene_once_and_keeps_what_is_unknown() -> None:
    names = ["VPS8", "nobody", "YAL001C", "TFC3", "shared", "nobody", "S2"]
    found = make_gene_list(names, TABLE)
    assert found == GeneList(("YAL001C", "YAL002W"), ("nobody", "shared"))
    assert found.counts.as_json() == {
        "join": "gene list",
        "rows": {"systematic": 1, "standard": 2, "id": 1},
        "rows_unknown": 1,
        "rows_ambiguous": 1,
        "names": 6,
        "names_unknown": 1,
        "names_ambiguous": 1,
        "unknown": ["nobody"],
        "ambiguous": {"shared": ["YAL001C (TFC3)", "YAL002W (VPS8)"]},
    }
