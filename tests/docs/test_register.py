"""Each promise of the documents has a test that tries to break it, on what a user has."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT
from tests.docs.register import REGISTER, Promise, expected_failures, promises, section, sentences

PROMISES = promises()
every_promise = pytest.mark.parametrize("promise", PROMISES, ids=lambda one: one.sentence[:40])
PROTOCOL = ROOT / "docs" / "protocol.md"
CLAIMED = [
    *sentences(section(README, "Then, if the sites run the software of this repository:", "[The")),
    *sentences(section(PROTOCOL, "so with at least three sites:", "Not claimed:")),
]


@every_promise
def test_the_page_makes_the_promise_in_these_words(promise: Promise) -> None:
    assert promise.is_in_page, f"{promise.page.name} does not say: {promise.sentence}"


@every_promise
def test_a_promise_names_its_adversary_and_tests_that_pass(promise: Promise) -> None:
    assert promise.adversary
    assert promise.tests, "a promise without a test is none"
    for test in promise.tests:
        path, _, name = test.partition("::")
        found = expected_failures(ROOT / path)
        assert name in found, f"{path} has no {name}"
        assert not found[name], f"{name} is expected to fail, or not run"


@pytest.mark.parametrize("claim", CLAIMED, ids=lambda one: one[:40])
def test_what_is_claimed_stands_in_the_register(claim: str) -> None:
    assert any(claim in one.sentence for one in PROMISES), f"not in {REGISTER.name}: {claim}"


@pytest.mark.slow
def test_the_tests_of_a_promise_reach_what_a_user_has(tmp_path: Path) -> None:
    """An adversary that plays against a part alone shows nothing of the whole."""
    named = sorted({test for promise in PROMISES for test in promise.tests})
    out = tmp_path / "reached"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.docs.reached", "-p", "no:xdist"]
    options = ["--import-mode=importlib", "-n0"][:1]
    ran = subprocess.run(
        [*command, *options, f"--reached={out}", *named],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2_000:]
    reached = {name.partition("[")[0] for name in out.read_text().splitlines()}
    for promise in PROMISES:
        assert reached & set(promise.tests), f"none reaches it: {promise.sentence}"
