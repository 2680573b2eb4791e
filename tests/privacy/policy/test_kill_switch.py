from pathlib import Path

import pytest

from privacy.policy.kill_switch import FILE, allow, is_stopped, require_allowed, stop_all
from privacy.policy.violations import Stopped


def test_a_site_is_stopped_until_it_is_allowed(tmp_path: Path) -> None:
    require_allowed(tmp_path)
    stop_all(tmp_path, "the ward is on fire")
    assert is_stopped(tmp_path)
    assert "fire" in (tmp_path / FILE).read_text()
    with pytest.raises(Stopped) as caught:
        require_allowed(tmp_path)
    assert "fire" not in str(caught.value)
    stop_all(tmp_path)
    allow(tmp_path)
    allow(tmp_path)
    require_allowed(tmp_path)


def test_a_file_made_by_hand_is_enough(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    assert is_stopped(tmp_path)
