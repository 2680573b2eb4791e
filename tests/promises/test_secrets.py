"""Another user of a site's machine gives it no secret that is known."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consortium.cli.main import app as program
from privacy.storage.secret_files import ExposedSecret
from tests.consortium.founded import Founded, found

STRANGER = 54_321


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    """Sites that have their keys, in a directory of their operator's."""
    return found(tmp_path / "c")


def belongs_to_a_stranger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a path to another user or, where only root may do that, become another user."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)


def put_known_identity(founded: Founded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stranger's own keys stand in the place of west's."""
    secret = founded.site("west") / "secrets" / "identity.secret"
    shutil.copy(founded.site("east") / "secrets" / "identity.secret", secret)
    belongs_to_a_stranger(secret, monkeypatch)


def own_folder(founded: Founded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stranger owns the site's directory."""
    belongs_to_a_stranger(founded.site("west"), monkeypatch)


def open_folder(founded: Founded, _monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody may write where the site's directory is."""
    founded.site("west").parent.chmod(0o777)


@pytest.mark.parametrize("play", [put_known_identity, own_folder, open_folder])
def test_a_site_shows_no_public_half_of_keys_that_another_user_can_exchange(
    founded: Founded,
    monkeypatch: pytest.MonkeyPatch,
    play: Callable[[Founded, pytest.MonkeyPatch], None],
) -> None:
    words = ["site", "public", str(founded.site("west"))]
    assert CliRunner().invoke(program, words).exit_code == 0
    play(founded, monkeypatch)
    refused = CliRunner().invoke(program, words)
    assert isinstance(refused.exception, ExposedSecret)
    assert "`" in str(refused.exception), "what to type"
