"""What keeps a SuperLink from starting is said before anything starts."""

import socket
from pathlib import Path

import pytest

from consortium.deployment.processes import LaunchFailed
from consortium.deployment.superlink import SuperLink
from tests.consortium.founded import HOST, found


def test_a_port_that_another_program_holds_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    """Nobody has to find it in two logs."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        founded = found(tmp_path, port=port)
        founded.provision()
        founded.install()
        superlink = SuperLink(founded.coordinator)
        with pytest.raises(LaunchFailed, match=f"another program listens at {HOST}:{port}"):
            superlink.start()
    assert not superlink.home.exists()
