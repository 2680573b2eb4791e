"""What is printed is what was said."""

import pytest
import typer

from privacy.errors import MissingLibrary
from scenarios.cli.terminal import console, exit_on_refusal


def test_brackets_are_printed_and_are_no_style(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise MissingLibrary("to train a model", "torch", extra="train")

    with pytest.raises(typer.Exit):
        exit_on_refusal(refuse)
    assert "pip install 'consortium-fl[train]'" in capsys.readouterr().err.replace("\n", " ")
    console.print("runs/[bold]own")
    assert "runs/[bold]own" in capsys.readouterr().out
