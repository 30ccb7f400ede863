"""The bundled GO as hierarchies, for the benchmarks of the model."""

from gocell_cli.building.contents import make_hierarchy
from gocell_cli.building.plan import BuildOptions, plan_hierarchy
from gocell_cli.domain.term_filters import PRESETS
from gocell_cli.sources.go.releases import load_release
from gocell_cli.storage.schema import Hierarchy


def bundled_hierarchy(preset: str) -> tuple[Hierarchy, str]:
    """The hierarchy of a preset on the bundled release, and what its widths count."""
    release = load_release(None, None)
    rules = BuildOptions(PRESETS[preset]).rules
    terms, _ = plan_hierarchy(release.ontology, release.annotations, release.genes, rules)
    return make_hierarchy(terms, release.genes, "stratum"), rules.width_by
