"""The commands' real build serves the docs' code blocks as well."""

from tests.commands.conftest import essentiality

__all__ = ["essentiality"]
