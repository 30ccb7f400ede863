"""`gocell cache`: verify, describe, list, merge and tidy caches."""

import time
from pathlib import Path
from typing import Annotated

import typer

from gocell_cli.commands.build.build_cache import build_cache, remember_built, tell_replaced
from gocell_cli.commands.build.own_table_file import tell_split
from gocell_cli.commands.build.part_files import command_of_part, take_companions, without_companions
from gocell_cli.commands.shell.build_file import build_file
from gocell_cli.commands.shell.command_line import Commands
from gocell_cli.commands.shell.completion import complete_cache
from gocell_cli.commands.shell.options import Json, Overwrite, Resume, Root
from gocell_cli.commands.shell.places import data_root, find_cache, leftovers, named
from gocell_cli.commands.shell.terminal import is_quiet, line, make_table, note, show, show_json, show_result, styled
from gocell_cli.errors import DamagedCache, SourceMissing, UsageError

cache_app = Commands(help="Verify, describe, list, merge and tidy caches.", no_args_is_help=True)

CacheArgument = Annotated[
    Path | None,
    typer.Argument(
        help="Cache, or its name in `cache ls`; default: the one ROOT/latest names.", autocompletion=complete_cache
    ),
]


@cache_app.command("verify")
def verify(directory: CacheArgument = None, root: Root = None, json: Json = False) -> None:
    """Check every file, hash, count, index and level of a cache, or of a part; exit code 5 where one does not hold."""
    from gocell_cli.storage.verify import verify_cache

    cache = find_cache(directory, data_root(root))
    started = time.perf_counter()
    result = verify_cache(cache)
    seconds = time.perf_counter() - started
    if json:
        findings = [{"where": f.where, "problem": f.problem} for f in result.findings]
        show_json(
            {
                "cache": str(cache),
                **({"part": "{}/{}".format(*result.part)} if result.part is not None else {}),
                "ok": result.ok,
                "findings": findings,
                "files": result.files,
                "bytes": result.bytes,
                "samples": result.samples,
                "backends": list(result.shards),
                "seconds": round(seconds, 3),
            }
        )
    else:
        for finding in result.findings:
            show(line(styled("bold red", "DAMAGED"), f"  {finding.where}: {finding.problem}"))
    if not result.ok:
        raise typer.Exit(DamagedCache.exit_code)
    if not (json or is_quiet()):
        held = f"{result.samples:,} samples, {result.files} files, {result.bytes:,} bytes"
        which = "" if result.part is None else "part {}/{}, ".format(*result.part)
        show(line(styled("green", "ok"), f"  {cache}: {which}{held}"))


@cache_app.command("info")
def info(directory: CacheArgument = None, root: Root = None, json: Json = False) -> None:
    """Describe a cache: what it holds, what was dropped, how it was configured."""
    from dataclasses import asdict

    from gocell_cli.storage.manifest import read_manifest

    cache = find_cache(directory, data_root(root))
    manifest = read_manifest(cache)
    if json:
        show_json({"cache": str(cache), "manifest": asdict(manifest)})
        return
    config, counts = manifest.config, manifest.counts
    rows = [
        ["cache", str(cache)],
        ["format, gocell", f"{manifest.format_version}, {manifest.package_version}"],
        ["fingerprint", manifest.fingerprint],
        ["dataset, phenotype", ", ".join([*manifest.datasets, *(p["kind"] for p in manifest.phenotypes)])],
        ["GO release, preset", f"{config['go_release']}, {config['filters']['preset']}"],
        *([["control", "{kind}, seed {seed}".format(**config["control"])]] if "control" in config else []),
        ["rows read", f"{counts['rows_read']:,}"],
        *([f"dropped: {reason}", f"{n:,}"] for reason, n in counts["dropped"].items()),
        ["samples", f"{manifest.samples:,}"],
        [f"levels by {manifest.level_by}", " ".join(map(str, manifest.level_counts))],
        ["shards", f"{len(manifest.shards)} ({', '.join(config['backends'])})"],
    ]
    show(make_table("", ["", ""], rows))


@cache_app.command("ls")
def ls(root: Root = None, json: Json = False) -> None:
    """List the caches, parts and unfinished builds under the data root, and what was built from it elsewhere."""
    from gocell_cli.storage.overview import caches_elsewhere, caches_in

    entries = [*caches_in(data_root(root) / "caches"), *caches_elsewhere(data_root(root))]
    if json:
        show_json({"root": str(data_root(root)), "caches": entries})
        return
    columns = ["name", "state", "dataset", "phenotype", "samples", "bytes"]
    rows = [[f"{e[c]:,}" if isinstance(e[c], int) else str(e[c] or "") for c in columns] for e in entries]
    show(make_table(f"Caches under {data_root(root)}", columns, rows, right=(4, 5)))


@cache_app.command("merge")
def merge(
    parts: Annotated[list[Path], typer.Argument(help="The folders, or names, that --part made, in any order.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the merged cache goes.")],
    root: Root = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Merge the parts of one plan into one cache, the same as a single process would have made.

    Its path is kept in ROOT/latest, its options beside it in CACHE.toml, as a build does.
    """
    from gocell_cli.building.merge import merge_parts

    chosen = data_root(root)
    parts = [named(part, chosen / "caches") for part in without_companions(parts)]
    if overwrite:
        tell_replaced(out)
    manifest = merge_parts(parts, out, overwrite=overwrite, again=command_of_part(parts))
    remember_built(chosen, out)
    take_companions(parts, out, manifest.fingerprint)
    tell_split(out, manifest.datasets)
    shards = len(manifest.shards)
    document = {"cache": str(out), "parts": len(parts), "samples": manifest.samples, "shards": shards}
    said = f"merged {len(parts)} parts: {manifest.samples:,} samples in {shards} shards at {out}"
    show_result(document, lambda: show(said), json=json, essence=str(out))


@cache_app.command("prune")
def prune(
    root: Root = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    json: Json = False,
) -> None:
    """Remove what unfinished builds left under the data root; one that is being built is left alone.

    So is a folder that holds anything that no build made: it is named, and nothing in it is touched.
    """
    from gocell_cli.storage.overview import size_of
    from gocell_cli.storage.staging import Leftover, remove_partial

    found = leftovers(data_root(root))
    ours = [path for path in found if _is_left_by_build(path)]
    if ours and not yes:
        show(*(f"{path}  {size_of(path):,} bytes" for path in ours))
        # err: the question goes to stderr, for stdout is data.
        if not typer.confirm(f"Remove {len(ours)} unfinished builds?", err=True):
            raise UsageError("nothing was removed", hint="gocell cache prune --yes")
    became = {path: remove_partial(path) for path in ours}
    removed = [path for path, what in became.items() if what is not Leftover.IN_USE]
    for path, what in became.items():
        if what is Leftover.IN_USE:
            note(f"{path} is being built and was left alone")
        elif what is Leftover.GIVEN_BACK:
            note(f"{path} held a whole cache, which has its place now: {path.with_suffix('')}")
    _forget_readings(data_root(root))
    document = {"removed": [str(p) for p in removed], "kept": [str(p) for p in found if p not in removed]}
    show_result(document, lambda: show(f"removed {len(removed)} unfinished builds"), json=json)


def _forget_readings(root: Path) -> None:
    """Remove what parts of builds that were not all finished have read together; one that reads now is left alone."""
    from gocell_cli.sources.screens.shared_pieces import reading_folders, remove_pieces

    for folder in reading_folders(root):
        if remove_pieces(folder):
            note(f"{folder}: a table that parts of a build had read; removed")
        else:
            note(f"{folder} is being read, or holds something else, and was left alone")


def _is_left_by_build(path: Path) -> bool:
    from gocell_cli.storage.own_files import require_partial

    try:
        require_partial(path)
    except UsageError as error:
        note(f"{error.message}: {error.why}", "warning")
        return False
    return True


@cache_app.command("rebuild")
def rebuild(
    directory: CacheArgument = None,
    config: Annotated[Path | None, typer.Option(help="Its build file; default: CACHE.toml beside it.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to build it; default: in its place.")] = None,
    resume: Resume = False,
    root: Root = None,
    json: Json = False,
) -> None:
    """Build a cache again from its own manifest and build file; refused where it would become another one.

    What stands there is replaced only once the new one is whole. Exit code 4 where a source, an option or gocell's
    version is not what the manifest says.
    """
    from gocell_cli.storage.manifest import read_manifest

    chosen = data_root(root)
    cache = find_cache(directory, chosen)
    options = config if config is not None else build_file(cache)
    if not options.is_file():
        raise SourceMissing(f"{options}: no build file", hint="gocell cache rebuild DIR --config FILE.toml")
    # The fingerprint makes build-cache refuse where sources, options or version would give another cache.
    words = ["--config", str(options), "--fingerprint", read_manifest(cache).fingerprint]
    words += ["--out", str(out if out is not None else cache), "--root", str(chosen)]
    words += ["--overwrite"] if out is None else []
    words += ["--resume"] if resume else []
    # In this process, by the command's own parser: a build file means here what it means to build-cache.
    again = typer.Typer()
    again.command()(build_cache)
    typer.main.get_command(again).main([*words, *(["--json"] if json else [])], standalone_mode=False)
