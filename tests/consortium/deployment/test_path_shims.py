import os
import subprocess
import sys
from pathlib import Path

import pytest

from consortium.deployment.programs.path_shims import STARTED, write_shims


@pytest.mark.parametrize(
    ("role", "run"), [("site", "flwr-clientapp"), ("coordinator", "flwr-serverapp")]
)
def test_each_role_has_a_gate_before_one_program_and_a_stand_in_for_all_others(
    tmp_path: Path, role: str, run: str
) -> None:
    folder = write_shims(tmp_path / "programs", role)
    assert {path.name for path in folder.iterdir()} == {*STARTED, "flower-superexec"}
    for name in STARTED:
        text = (folder / name).read_text()
        assert ("refused" not in text) == (name == run)
        assert os.access(folder / name, os.X_OK)
    behind = "flower_entrypoints" in (folder / "flower-superexec").read_text()
    assert behind == (role == "site")


def test_a_folder_with_a_space_and_a_quote_is_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "o'dd folder"
    odd.mkdir()
    (odd / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(odd / "python"))
    folder = write_shims(odd / "programs", "coordinator")
    (odd / "flower-superexec").write_text("#!/bin/sh\necho $@\n")
    (odd / "flower-superexec").chmod(0o700)
    said = subprocess.check_output([str(folder / "flower-superexec"), "a b"], text=True)
    assert said == "a b\n"
