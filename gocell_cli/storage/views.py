"""`views.sql`: a cache's Parquet files as DuckDB views, in which samples, genes and terms meet by name.

A pure function of the manifest: paths are relative to the cache's folder, and nothing of this machine stands in it.
"""

from gocell_cli.storage.records import Manifest

HEAD = """\
-- DuckDB views of a gocell cache; schemas/README.md of gocell says what the columns mean.
-- From the cache's folder:  duckdb -init views.sql
-- From anywhere:            SET file_search_path = '/path/to/the/cache'; then all that follows.
"""
HIERARCHY = """
CREATE OR REPLACE VIEW terms AS
SELECT file_row_number::INTEGER AS term, * EXCLUDE (file_row_number)
FROM read_parquet('hierarchy/terms.parquet', file_row_number = true);

CREATE OR REPLACE VIEW genes AS
SELECT file_row_number::INTEGER AS gene, * EXCLUDE (file_row_number)
FROM read_parquet('hierarchy/genes.parquet', file_row_number = true);

CREATE OR REPLACE VIEW edges AS
SELECT child, parent, c.id AS child_id, p.id AS parent_id
FROM 'hierarchy/edges.parquet' JOIN terms c ON c.term = child JOIN terms p ON p.term = parent;

-- the genes annotated to a term itself
CREATE OR REPLACE VIEW term_genes AS
SELECT term, gene, id, systematic
FROM 'hierarchy/term_genes.parquet' JOIN terms USING (term) JOIN genes USING (gene);

-- and those of its descendants with them: what a deletion reaches
CREATE OR REPLACE VIEW contained_genes AS
WITH RECURSIVE contained AS (
    SELECT term, gene FROM 'hierarchy/term_genes.parquet'
    UNION
    SELECT parent, gene FROM contained JOIN 'hierarchy/edges.parquet' ON child = term
)
SELECT term, gene, id, systematic FROM contained JOIN terms USING (term) JOIN genes USING (gene);

CREATE OR REPLACE VIEW strains AS
SELECT file_row_number::INTEGER AS strain_index, * EXCLUDE (file_row_number)
FROM read_parquet('provenance/strains.parquet', file_row_number = true);

CREATE OR REPLACE VIEW query_groups AS
SELECT file_row_number::INTEGER AS query_group, * EXCLUDE (file_row_number)
FROM read_parquet('provenance/query_groups.parquet', file_row_number = true);
"""
DATASETS = """
CREATE OR REPLACE VIEW datasets AS
SELECT * FROM (VALUES {rows}) AS datasets(dataset, dataset_name);
"""
# a sample's number is its place in its shard, counted on from the shard's start
SAMPLES = """
CREATE OR REPLACE VIEW samples AS
SELECT first + file_row_number AS sample, found.* EXCLUDE (filename, file_row_number)
FROM read_parquet('samples/*.parquet', filename = true, file_row_number = true) AS found
JOIN (VALUES {starts}) AS shards(shard, first)
ON shard = regexp_extract(filename, '([0-9]+)[.]parquet$', 1)::BIGINT;

-- one row a deleted gene of a sample
CREATE OR REPLACE VIEW sample_genes AS
SELECT sample, gene, systematic, standard
FROM (SELECT sample, unnest(genes) AS gene FROM samples) JOIN genes USING (gene);

-- one row a term that the deletions of a sample reach, and how many of its genes they are
CREATE OR REPLACE VIEW sample_terms AS
SELECT sample, term, id, count(*) AS deleted
FROM sample_genes JOIN contained_genes USING (gene) GROUP BY ALL;
"""
# where there are several phenotypes, one row a label that is there
PHENOTYPES = """
CREATE OR REPLACE VIEW phenotypes AS
SELECT * FROM (VALUES {rows}) AS phenotypes(phenotype, kind, statistic_kind, unit);

CREATE OR REPLACE VIEW sample_phenotypes AS
{selects};
"""
NO_SAMPLES = """
-- No view of the samples: this cache keeps them in LMDB alone, which DuckDB does not read.
"""


def views_sql(manifest: Manifest) -> str:
    """Return the text of `views.sql`; without the views of samples where a shard has no Parquet file."""
    names = ", ".join(f"({i}, {_quoted(name)})" for i, name in enumerate(manifest.datasets))
    head = HEAD + HIERARCHY + DATASETS.format(rows=names)
    if not manifest.shards or not all("parquet" in shard.files for shard in manifest.shards):
        return head + NO_SAMPLES
    starts = ", ".join(f"({shard.index}, {shard.start})" for shard in manifest.shards)
    return head + SAMPLES.format(starts=starts) + _phenotypes(manifest)


def _phenotypes(manifest: Manifest) -> str:
    """The views of several phenotypes; nothing for a single one, which is `value` of `samples`."""
    if len(manifest.phenotypes) == 1:
        return ""
    rows, selects = [], []
    for number, found in enumerate(manifest.phenotypes):
        texts = (_quoted(found[name]) for name in ("kind", "statistic", "unit"))
        rows.append(f"({', '.join([str(number), *texts])})")
        end = f"_{number}" if number else ""
        columns = f"sample, {_quoted(found['kind'])} AS kind, value{end} AS value, statistic{end} AS statistic"
        selects.append(f"SELECT {columns} FROM samples WHERE value{end} IS NOT NULL")  # noqa: S608 a kind is quoted
    return PHENOTYPES.format(rows=", ".join(rows), selects="\nUNION ALL\n".join(selects))


def _quoted(text: str) -> str:
    """Text as SQL writes it: in quotes, each quote in it twice (SQL-92, 5.3)."""
    return "'" + text.replace("'", "''") + "'"
