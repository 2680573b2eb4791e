import configparser

import pytest

from consortium.provisioning.provision import coordinator_unit, site_unit


@pytest.mark.parametrize("text", [site_unit("north"), coordinator_unit("banks")])
def test_a_unit_restarts_what_fails_and_lets_it_write_to_one_place(text: str) -> None:
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read_string(text)
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["ProtectSystem"] == "strict"
    assert unit["Service"]["ExecStart"].split()[-1] == unit["Service"]["ReadWritePaths"]
