"""Each promise of the documents has a test that tries to break it, on what a user has."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT
from tests.docs.register import (
    REGISTER,
    Promise,
    expected_failures,
    guarantees,
    promises,
    prose,
    section,
    sentences,
)

PROMISES = promises()
every_promise = pytest.mark.parametrize("promise", PROMISES, ids=lambda one: one.sentence[:40])
PROTOCOL = ROOT / "docs" / "protocol.md"
CLAIMED = [
    *sentences(section(README, "Then, if the sites run the software of this repository:", "[The")),
    *sentences(section(PROTOCOL, "so with at least three sites:", "Not claimed:")),
]
OPERATION = ROOT / "docs" / "operate.md"
PROMISING = re.compile(
    r"\b(never|nobody|cannot|refuse[sd]?|nothing|none|only|whatever|at most|no line|404)\b", re.I
)
# Sentences of docs/operate.md in such words on which no other party relies: what to type and why.
INSTRUCTIONS = (
    "This page goes from nothing to a model",
    "Do this at the site, in a directory",
    "The signature lies beside the charter",
    "The last command deletes what nobody needs",
    "The coordinator renews it with its own authority",
    "Under systemd, nothing;",
    "a site refuses with `check-alarm`",
    "Nothing:",
    "While a process leads the run",
    "It trains nothing;",
    "Evaluate before another run trains:",
    "To back up the coordinator",
    "So copy what each party has",
    "That is right for the coordinator only while",
    "A site that lost its `memory/`",
    "Back it up while no run is going on",
    "`pip install --require-hashes",
    "The gateway does not limit connections",
    "Whoever reached the port of a coordinator of version 0.1.0",
)
CLAIMED_IN_OPERATION = [
    one for one in prose(OPERATION) if PROMISING.search(one) and not one.startswith(INSTRUCTIONS)
]
# What stands between a site and everybody else.
FACING_OTHERS = ("consortium/client", "privacy/policy", "privacy/protocol", "privacy/secrets")
GUARANTEES = [
    pytest.param(module, said, id=f"{module.stem} {name}")
    for module in [
        ROOT / "consortium" / "client_app.py",
        *sorted(file for folder in FACING_OTHERS for file in (ROOT / folder).glob("*.py")),
    ]
    for name, said in guarantees(module).items()
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


def test_no_promise_stands_in_two_rows() -> None:
    """What holds of the one would be overlooked in the other."""
    rows = [(one.page, one.sentence) for one in PROMISES]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("claim", CLAIMED, ids=lambda one: one[:40])
def test_what_is_claimed_stands_in_the_register(claim: str) -> None:
    assert any(claim in one.sentence for one in PROMISES), f"not in {REGISTER.name}: {claim}"


@pytest.mark.parametrize("claim", CLAIMED_IN_OPERATION, ids=lambda one: one[:40])
def test_what_the_operators_page_claims_stands_in_the_register(claim: str) -> None:
    assert any(claim in one.sentence for one in PROMISES if one.page == OPERATION), claim


def test_no_instruction_is_left_in_the_list_that_the_page_no_longer_gives() -> None:
    assert all(any(one.startswith(start) for one in prose(OPERATION)) for start in INSTRUCTIONS)


@pytest.mark.parametrize(("module", "said"), GUARANTEES)
def test_a_guarantee_that_faces_another_party_stands_in_the_register(
    module: Path, said: str
) -> None:
    """At least a sentence of it; the others of a docstring say what that one is about."""
    assert any(one.sentence in said for one in PROMISES if one.page == module), said


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_the_tests_of_a_promise_reach_what_a_user_has(tmp_path: Path) -> None:
    """An adversary that plays against a part alone shows nothing of the whole."""
    named = sorted({test for promise in PROMISES for test in promise.tests})
    out = tmp_path / "reached"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.docs.reached", "-p", "no:xdist"]
    ran = subprocess.run(
        [*command, "--import-mode=importlib", f"--reached={out}", *named],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2_000:]
    reached = {name.partition("[")[0] for name in out.read_text().splitlines()}
    alone = [promise.sentence for promise in PROMISES if not reached & set(promise.tests)]
    assert not alone, f"no test of these reaches what a user has: {alone}"
