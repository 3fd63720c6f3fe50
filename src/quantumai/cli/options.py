"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]
JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's id, as `qai jobs list` shows it.")
]


def group(help_text: str) -> typer.Typer:
    """A group of commands in the house's settings."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)
