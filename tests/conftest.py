"""What every test shares: how hypothesis looks for counterexamples, and who begins."""

import os

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("desk", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

LONGEST = (
    "tests/scenarios/test_deaths.py",
    "tests/consortium/test_fuzzed_messages.py",
    "tests/scenarios/test_liars.py",
    "tests/test_operate.py",
    "tests/scenarios/test_robustness.py",
    "tests/test_documentation.py",
    "tests/scenarios/test_deployment.py",
    "tests/scenarios/test_runs.py",
    "tests/scenarios/test_simulation.py",
    "tests/scenarios/test_privacy_cost.py",
    "tests/scenarios/test_resumed_runs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, so that no worker is left with one of them at the end."""
    begins = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: begins.get(item.nodeid.split("::")[0], len(begins)))
