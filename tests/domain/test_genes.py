"""Names of genes: systematic, standard, alias; and lists of them."""

from gocell_cli.domain.genes import GeneList, make_gene_list, make_gene_table

TABLE = make_gene_table(
    [
        ("YAL001C", "TFC3", ("FUN24", "shared"), "Verified"),
        ("YAL002W", "VPS8", ("TFC3", "shared", "FUN15"), "Verified"),
        ("YAL003W", "", ("YAL001C", ""), "Dubious"),
        ("YAL004W", "TWICE", (), "Dubious"),
        ("YAL005C", "TWICE", (), "Verified"),
    ]
)


def test_a_gene_is_found_by_any_name_that_is_its_own() -> None:
    found = {name: TABLE.find(name) for name in ("YAL001C", "TFC3", "FUN24", "VPS8", "fun15")}
    assert found == {"YAL001C": 0, "TFC3": 0, "FUN24": 0, "VPS8": 1, "fun15": 1}
    assert [TABLE.find(name) for name in ("shared", "TWICE", "", "nobody")] == [None] * 4


def test_a_list_names_each_gene_once_and_keeps_what_is_unknown() -> None:
    names = ["VPS8", "nobody", "YAL001C", "TFC3", "shared", "nobody"]
    assert make_gene_list(names, TABLE) == GeneList(("YAL001C", "YAL002W"), ("nobody", "shared"))
