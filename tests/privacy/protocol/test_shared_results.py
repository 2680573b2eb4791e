"""Sites that one process simulates share no result: what one checked or parsed serves no other."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import consortium.client
import privacy.identity
import privacy.protocol
import privacy.wire

PACKAGES = (privacy.identity, privacy.protocol, privacy.wire, consortium.client)


def modules() -> Iterator[ModuleType]:
    for package in PACKAGES:
        for found in walk_packages(package.__path__, f"{package.__name__}."):
            yield import_module(found.name)


def test_no_function_of_the_protocol_keeps_its_results_for_the_whole_process() -> None:
    read = list(modules())
    assert len(read) > 60
    kept = [
        f"{module.__name__}.{name}"
        for module in read
        for name, value in vars(module).items()
        if hasattr(value, "cache_info") and value.__module__ == module.__name__
    ]
    assert kept == []
