"""What a cache is, in a title, a summary, a date and the papers of its data: pure functions of the manifest.

A build keeps no clock, for equal builds give equal bytes. So a cache's date is the newest that its manifest can vouch
for: of the ontology's release, and of the papers that published its data sets.
"""

import re
from datetime import date

from gocell_cli.file_record import FileRecord
from gocell_cli.storage.records import Manifest

ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
"""As OBO's `data-version` has it: releases/2016-12-06."""
OBO_DATE = re.compile(r"\b(\d{2}):(\d{2}):(\d{4})\b")
"""As OBO's `date` has it: 06:12:2016 15:31."""
PAPERS = {
    "collins2007": (date(2007, 4, 12), "10.1038/nature05649"),
    "costanzo2016": (date(2016, 9, 23), "10.1126/science.aaf1420"),
    "kuzmin2018": (date(2018, 4, 20), "10.1126/science.aao1729"),
    "kuzmin2020": (date(2020, 6, 26), "10.1126/science.aaz5667"),
}
"""When and where the data sets that gocell knows by name were published: date of the issue, DOI."""
LICENCE = "Licences of the sources"
LICENCE_TEXT = "What a cache holds is under the licences of the sources that its manifest names; gocell adds no terms."


def title(manifest: Manifest) -> str:
    """A cache's name in one line: phenotype, data sets, ontology."""
    names = ", ".join(manifest.datasets)
    return f"gocell cache: {kinds(manifest)} of {names}; ontology {manifest.config['go_release']}"


def kinds(manifest: Manifest) -> str:
    """The names of the phenotypes, in their order."""
    return ", ".join(phenotype["kind"] for phenotype in manifest.phenotypes)


def summary(manifest: Manifest) -> str:
    """What is in a cache, in two sentences."""
    return (
        f"{manifest.samples} genotypes, their {kinds(manifest)}, and a hierarchy of "
        f"{sum(manifest.level_counts)} terms on {len(manifest.level_counts)} levels (preset "
        f"{manifest.config['filters']['preset']}), verified to run level by level. Fingerprint {manifest.fingerprint}."
    )


def published(manifest: Manifest) -> date | None:
    """The newest date that the manifest can vouch for; None where it knows of none, as with a user's own files."""
    known = [PAPERS[name][0] for name in manifest.datasets if name in PAPERS]
    release = _date(str(manifest.config["go_release"]))
    return max([*known, *([] if release is None else [release])], default=None)


def dois(manifest: Manifest) -> list[str]:
    """The papers of the data sets that gocell knows by name, as URLs."""
    return [f"https://doi.org/{PAPERS[name][1]}" for name in manifest.datasets if name in PAPERS]


def files(manifest: Manifest) -> list[FileRecord]:
    """The tables and shards by path: a manifest that was read has them in another order than one that is made."""
    return sorted(manifest.all_files, key=lambda file: file.path)


def _date(text: str) -> date | None:
    """The first date in a release's name; None where there is none, or no such day."""
    iso, obo = ISO_DATE.search(text), OBO_DATE.search(text)
    try:
        if iso is not None:
            return date(*map(int, iso.groups()))
        return None if obo is None else date(*map(int, reversed(obo.groups())))
    except ValueError:
        return None
