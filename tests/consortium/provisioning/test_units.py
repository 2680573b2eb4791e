"""The systemd units that installing a kit leaves: made here, for this place."""

import configparser
from pathlib import Path

import pytest

from consortium.provisioning.installation import install_coordinator, install_site
from tests.consortium.founded import NOW, Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    return found(tmp_path / "c")


@pytest.mark.parametrize("party", ["north", "coordinator"])
def test_a_unit_restarts_what_fails_and_lets_it_write_to_one_place(
    founded: Founded, party: str
) -> None:
    founded.provision()
    if party == "coordinator":
        place = founded.coordinator
        install_coordinator(place, founded.kit(party), now=NOW)
    else:
        place = founded.site(party)
        install_site(place, founded.kit(party), now=NOW)
    (path,) = place.glob("*.service")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read_string(path.read_text())
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["ProtectSystem"] == "strict"
    assert unit["Service"]["ReadWritePaths"] == str(place.resolve())
    assert unit["Service"]["ExecStart"].split()[-1] == unit["Service"]["ReadWritePaths"]
