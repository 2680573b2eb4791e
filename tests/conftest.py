"""What every test shares: one thread, how hypothesis looks for counterexamples, who begins."""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# As each test has a core; torch's threads, on cores that are taken, wait by spinning. Programs that
# a test starts have one as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("desk", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

LONGEST = (
    "tests/scenarios/test_deaths.py",
    "tests/consortium/test_fuzzed_messages.py",
    "tests/scenarios/attacks/test_malicious_client.py",
    "tests/test_operate.py",
    "tests/scenarios/experiments/test_robustness.py",
    "tests/test_documentation.py",
    "tests/scenarios/engines/test_deployment.py",
    "tests/scenarios/test_runs.py",
    "tests/scenarios/test_simulation.py",
    "tests/scenarios/experiments/test_privacy_utility.py",
    "tests/scenarios/test_resumed_runs.py",
)

# The laws that all else stands on are tried line by line, by their own tests. To watch the others
# too costs them half as much time again: `make coverage` does.
WATCHED = ("tests/privacy/", "tests/strategies/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the longest files begin, so that no worker is left with one of them at the end."""
    watched = WATCHED if "privacy" in config.getoption("cov_source") else ""
    for item in items:
        if not item.nodeid.startswith(watched):
            item.add_marker("no_cover")
    begins = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: begins.get(item.nodeid.split("::")[0], len(begins)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no captured text be one that cannot go to the process that runs the workers.

    Tests log half of a surrogate pair, as a hostile record may hold it; no encoding has it.
    """
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report
