"""A plugin of pytest: tells which tests reach what a user has, and not a part of it alone.

Reached is a site's app, the installation of a kit, a command of the command lines, a process that
is started, or a server that listens, as the gateway's. `--reached FILE` writes the names of the
tests that reached one of them.
"""

import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import uvicorn
from flwr.clientapp import ClientApp

from consortium.provisioning import installation

_ENTRANCES = (
    (ClientApp, "__call__"),
    (click.Command, "main"),
    (subprocess.Popen, "__init__"),
    (uvicorn.Server, "serve"),
    (installation, "install_site"),
    (installation, "install_coordinator"),
)


class Reached:
    """Keeps the names of the tests that came through an entrance."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: set[str] = set()
        self.current = ""
        self.shared: dict[str, bool] = {}

    def count(self, entrance: Callable[..., Any]) -> Callable[..., Any]:
        """Return the entrance, which notes who comes through."""

        @functools.wraps(entrance)
        def through(*args: Any, **kwargs: Any) -> Any:
            self.names.add(self.current)
            return entrance(*args, **kwargs)

        return through

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Know whose turn it is."""
        self.current = item.nodeid
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        """A fixture that is shared reaches for all tests that use it."""
        before = self.current in self.names
        self.names.discard(self.current)
        result = yield
        self.shared[fixturedef.argname] = self.current in self.names
        if before:
            self.names.add(self.current)
        return result

    def pytest_runtest_teardown(self, item: Any) -> None:
        """Count what the shared fixtures of a test reached."""
        if any(self.shared.get(name) for name in item.fixturenames):
            self.names.add(item.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the names."""
        self.path.write_text("\n".join(sorted(name for name in self.names if name)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--reached", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Put a counter at every entrance, before tests import it."""
    reached = Reached(config.getoption("--reached"))
    for owner, name in _ENTRANCES:
        setattr(owner, name, reached.count(getattr(owner, name)))
    config.pluginmanager.register(reached)
