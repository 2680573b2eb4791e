"""What a hostile log says does not reach an auditor's terminal as commands."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app
from privacy.audit.hash_chain import Chain, Fact, LogEvent
from privacy.identity.log_signing_key import SigningKey
from tests.carrier import staged

OWNER = "east\x1b[2J\x1b]0;title\x07"
KIND = "train\x1b[31mRED[bold]markup[/bold]"
CONTROLS = {chr(code) for code in (*range(32), *range(127, 160))} - {"\n"}


@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_log_with_terminal_escapes_is_shown_without_them(tmp_path: Path, command: str) -> None:
    """The log is whole, and signed by who wrote it."""
    folder = tmp_path / "audit"
    folder.mkdir(mode=0o700)
    key = SigningKey.at(folder / "signing.secret")
    facts: dict[str, Fact] = {"run": "1", "kind": KIND, "bytes": 1, "digest": "0" * 64}
    chain = Chain(folder / "log.jsonl", owner=OWNER, key=key.public, sign=key.sign)
    chain.append([LogEvent("received", facts)])
    (folder / "public.json").write_text(json.dumps({OWNER: key.public.hex()}))
    said = CliRunner().invoke(app, ["audit", command, str(tmp_path)])
    staged(so="east" in said.output, what=said.output)
    assert not CONTROLS & set(said.output)
