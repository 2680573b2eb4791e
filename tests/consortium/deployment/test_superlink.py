"""What keeps a SuperLink from starting is said before anything starts."""

import socket
from pathlib import Path

import pytest

from consortium.deployment.processes import LaunchFailed
from consortium.deployment.superlink import SuperLink
from tests.consortium.founded import found


def test_a_port_that_another_program_holds_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    """Nobody has to find it in two logs."""
    founded = found(tmp_path)
    founded.provision()
    founded.install()
    superlink = SuperLink(founded.coordinator)
    host, _, port = str(founded.charter.coordinator).rpartition(":")
    with socket.create_server((host, int(port))):
        with pytest.raises(LaunchFailed, match=f"another program listens at {host}:{port}"):
            superlink.start()
    assert not superlink.home.exists()
