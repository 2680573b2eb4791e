"""A run that several tests look at, and none of them changes."""

import pytest

from tests.small_consortium import Consortium, Course, rehearsed


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Consortium, Course]:
    """A small encrypted run of three rounds in which nobody lied, with every moment of it."""
    return rehearsed(tmp_path_factory.mktemp("honest"))
