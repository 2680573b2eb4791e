"""What a person types and looks at."""

import json
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from consortium.report.ledger.statement import Account, read_ledger_view


def typed(command: typer.Typer, *words: str | Path, status: int = 0) -> str:
    """Return what a command says on a wide terminal."""
    said = CliRunner().invoke(command, [str(word) for word in words], env={"COLUMNS": "250"})
    assert said.exit_code == status, f"{words}: {said.output} {said.exception!r}"
    return said.output


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file that has one in each line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def account(site: Path) -> Account:
    """Return what the one data set of a site has lost."""
    (only,) = read_ledger_view(site).accounts
    return only
