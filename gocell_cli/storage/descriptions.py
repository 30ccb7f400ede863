"""What a whole cache says of itself to other programs: files made from its manifest alone.

Equal manifests give equal bytes, so that one process and a merge of parts make the same cache. They tell nothing that
the manifest does not, and are no part of the configuration: a fingerprint is what it was before there were any.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from gocell_cli.file_record import FileRecord
from gocell_cli.storage.croissant import croissant
from gocell_cli.storage.records import CROISSANT, DESCRIPTIONS, RO_CRATE, VIEWS, Manifest
from gocell_cli.storage.ro_crate import ro_crate
from gocell_cli.storage.views import views_sql

WRITERS: Mapping[str, Callable[[Manifest], str]] = {
    VIEWS: views_sql,
    RO_CRATE: ro_crate,
    CROISSANT: croissant,
}


def described(manifest: Manifest) -> tuple[Manifest, dict[str, bytes]]:
    """Return a manifest that lists its descriptions, and their contents by name; those that it lists are replaced."""
    bare = undescribed(manifest)
    contents = {name: WRITERS[name](bare).encode() for name in DESCRIPTIONS}
    records = [FileRecord(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()]
    return replace(bare, files=(*bare.files, *records)), contents


def undescribed(manifest: Manifest) -> Manifest:
    """Return the manifest as it would be without descriptions, as in parts and in older caches."""
    return replace(manifest, files=tuple(file for file in manifest.files if file.path not in DESCRIPTIONS))
