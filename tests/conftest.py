"""What every test shares: one thread, how hypothesis looks for counterexamples, who begins.

And a server that starts programs, for whoever types commands.
"""

import atexit
import gc
import importlib
import os
import pkgutil
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.forked import Forked

# As each test has a core; torch's threads, on cores that are taken, wait by spinning. Programs that
# a test starts have one as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's `&` and `nohup` make programs deaf to these, and what tests start would be so as well.
for number, heard in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, heard)

# Always the same examples, so that a change fails by what it did. A test that does not say how many
# it needs has half of what hypothesis would try, unless it is of `WATCHED`; test-all tries "whole".
settings.register_profile(
    "quick", derandomize=True, deadline=None, print_blob=True, max_examples=50
)
settings.register_profile("whole", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("desk", deadline=None)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "")
settings.load_profile(PROFILE or "quick")

LONGEST = (
    "tests/scenarios/test_deaths.py",
    "tests/consortium/test_fuzzed_messages.py",
    "tests/scenarios/attacks/test_rules_under_attack.py",
    "tests/test_operate.py",
    "tests/scenarios/experiments/test_robustness.py",
    "tests/docs/test_scientist_followed.py",
    "tests/docs/test_pages_followed.py",
    "tests/scenarios/engines/test_deployment.py",
    "tests/scenarios/test_runs.py",
    "tests/scenarios/test_simulation.py",
    "tests/scenarios/experiments/test_privacy_utility.py",
    "tests/scenarios/test_resumed_runs.py",
    "tests/strategies/coordinator/masked/test_strategy.py",
    "tests/promises/test_power_at_the_coordinator.py",
    "tests/docs/test_readme_followed.py",
    "tests/promises/test_mask_continued.py",
    "tests/scenarios/engines/test_runner.py",
    "tests/promises/test_buckets.py",
    "tests/promises/test_restored.py",
    "tests/scenarios/test_text_runs.py",
    "tests/promises/test_many_masked_sites.py",
    "tests/test_modes.py",
    "tests/test_learners.py",
    "tests/test_made_by_0_1_0.py",
    "tests/test_every_command.py",
)

# Of garbage, as in both command lines (`search_garbage_rarely`).
OBJECTS_BETWEEN_SEARCHES = 20_000

# The laws that all else stands on are tried line by line, by their own tests. To watch the others
# too, and what they set up, costs them half as much time again: `make coverage` does.
WATCHED = ("privacy", "strategies")
# Of both ends: what a coordinator does behind hubs is tried with real hubs.
WATCHED_TESTS = (*(f"tests/{name}/" for name in WATCHED), "tests/consortium/coordinator/hubs/")


# Thousands of small databases are made and synced. On a disk that takes as long as all that the
# tests compute; the syncs are the same calls in memory, and no test can see a power failure. Which
# calls a program makes, `tests.disk` looks at.
MEMORY = Path("/dev/shm")  # noqa: S108 -- pytest makes a folder there that no other user can open
ROOM_BYTES = 3 * 2**30  # three times what the files of all tests take at once
SPARE_BYTES = 8 * 2**30  # of memory, the workers' own included


def has_room(memory: Path) -> bool:
    """Whether the files of all tests fit in a folder in memory."""
    return (
        memory.is_dir()
        and shutil.disk_usage(memory).free >= ROOM_BYTES
        and psutil.virtual_memory().available >= SPARE_BYTES
    )


def pytest_configure() -> None:
    """Let the tests' files be in memory, unless PYTEST_DEBUG_TEMPROOT says where they are."""
    if has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """Start programs that have the libraries loaded; one server for all files of a worker."""
    with Forked() as forking:
        yield forking


def names_watched_packages(config: pytest.Config) -> bool:
    """Whether only the watched packages are measured."""
    return set(config.getoption("cov_source", [])) == set(WATCHED)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """End what pytest-cov began in a worker that took itself for the one that runs the workers.

    Its own measurement begins next. Coverage goes on with the older of two whenever the newer is
    paused, so without this every test would be measured, in twice its time, and the result dropped.
    """
    plugin = session.config.pluginmanager.getplugin("_cov")
    if plugin is not None and hasattr(session.config, "workerinput"):
        plugin.cov_controller.pause()


@contextmanager
def unmeasured(config: pytest.Config) -> Iterator[None]:
    """Measure no coverage meanwhile."""
    controller = config.pluginmanager.getplugin("_cov").cov_controller
    controller.pause()
    yield
    controller.resume()


def import_watched_modules() -> None:
    """Import all of the watched packages: the lines of a module itself run once."""
    for name in WATCHED:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let the collector of garbage leave alone what the tests import: it stays, and is large."""
    if session.config.getoption("dist", "no") != "no":  # the workers collect
        return (yield)
    gc.disable()
    if names_watched_packages(session.config):
        import_watched_modules()
        with unmeasured(session.config):
            collected = yield
    else:
        collected = yield
    gc.freeze()
    atexit.register(gc.freeze)  # nor look for garbage among all that the tests left, at the end
    gc.set_threshold(OBJECTS_BETWEEN_SEARCHES, *gc.get_threshold()[1:])
    gc.enable()
    return collected


def is_watched(node: pytest.Item | pytest.Collector) -> bool:
    """Whether tests are those of the watched packages."""
    return node.nodeid.startswith(WATCHED_TESTS)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let the tests of the watched packages have all examples: each takes its number on import."""
    settings.load_profile(PROFILE or ("whole" if is_watched(collector) else "quick"))
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the tests of the watched packages only, where no others are to be measured."""
    if is_watched(item) or not names_watched_packages(item.config):
        return (yield)
    with unmeasured(item.config):
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, so that no worker is left with one of them at the end."""
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
