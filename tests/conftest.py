"""What every test shares: how hypothesis looks for counterexamples, who begins, what covers."""

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

# Whole runs: that code is tried says little where nobody looks at what it does there, and to
# watch it costs them a third as much time again.
WHOLE_RUNS = (
    *LONGEST,
    "tests/scenarios/test_budget_outlives_deaths.py",
    "tests/scenarios/test_comparison.py",
    "tests/scenarios/test_full_disk.py",
    "tests/scenarios/test_hostile_sites.py",
    "tests/scenarios/test_private_notes.py",
    "tests/scenarios/test_silent_buckets.py",
    "tests/scenarios/test_stopped_runs.py",
    "tests/scenarios/test_text_runs.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, so that no worker is left with one of them at the end."""
    for item in items:
        if item.nodeid.split("::")[0] in WHOLE_RUNS:
            item.add_marker("no_cover")
    begins = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: begins.get(item.nodeid.split("::")[0], len(begins)))
