"""Ten thousand mutated messages to a site, and ten thousand mutated answers to a coordinator.

What a site answers is a refusal with a code somebody foresaw, or what its policy lets out; what a
coordinator does is go on without the sender, or stop with a typed error. Nothing else, ever.
"""

import shutil
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message, RecordDict

from consortium.client.mods import SiteError
from privacy.errors import ConsortiumError
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums
from strategies.coordinator.encrypted.rounds.request import SealedRequest
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.messaging.events import RunEvent, SiteQuarantined
from tests.consortium.staged import Ward, ward
from tests.mutation import mutated
from tests.small_consortium import (
    SEALED,
    Consortium,
    Course,
    Moment,
    Passing,
    Place,
    forget_processes,
    read_round,
    rehearsed,
    signed,
)
from tests.small_site import NAMES, Outcome, SmallSite, cohort_of, grid_of, strategy_of
from tests.small_site import honest as small_honest

Honest = tuple[Consortium, Course]
FEW, MANY = 300, 10_000
ROUND = 2
_TRIES = 30
KEY_KINDS = tuple(
    f"query.{kind}"
    for kind in (
        *("open", "rotate", "deliver", "epoch", "hello", "commit", "reveal", "draw"),
        *("pair_keys", "pair", "pair_secrets", "confirm"),
    )
)
UNFORESEEN = SiteError("").code
OPENING_REFUSED = "malformed-record"
numbers = pytest.mark.parametrize(
    "number", [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)


def log_of(directory: Path) -> str:
    """Return the end of what a site wrote down for its operator."""
    path = directory / "site.log"
    return path.read_text()[-3_000:] if path.exists() else ""


class Fuzzed:
    """A site that is put back as it was whenever its key is burned, and often besides."""

    def __init__(self, moments: list[Moment], folder: Path) -> None:
        self.moments, self.folder = moments, folder
        self.place: Place | None = None

    def asked(self, rng: np.random.Generator) -> tuple[str, str]:
        """Ask something mutated; return its kind and the code of the refusal, if it was one."""
        if self.place is None or rng.random() < 0.03:
            forget_processes()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.moment = self.moments[rng.integers(len(self.moments))]
            self.place = self.moment.again(self.folder)
        kind = self.moment.asked.kind
        if rng.random() < 0.05:
            kind = KEY_KINDS[rng.integers(len(KEY_KINDS))]
        code = self.place.refusal(kind, self._signed(mutated(self.moment.asked.content, rng)))
        if code == "key-burned":
            self.place = None
        return kind, code

    def _signed(self, content: RecordDict) -> RecordDict:
        """Sign what can still be read as a question: so does a coordinator that lies."""
        try:
            return signed(read_round(content))
        except ConsortiumError:
            return content


def fuzzed_codes(moments: list[Moment], folder: Path, *, number: int) -> Counter[str]:
    """Return how often a site gave each code, asked so many mutated questions."""
    fuzzed, rng = Fuzzed(moments, folder), np.random.default_rng(7)
    codes: Counter[str] = Counter()
    for _ in range(number):
        kind, code = fuzzed.asked(rng)
        assert code != UNFORESEEN, f"{kind}: {log_of(fuzzed.folder)}"
        codes[code] += 1
    return codes


@numbers
def test_a_site_of_an_encrypted_run_answers_or_refuses_by_type(
    honest: Honest, tmp_path: Path, number: int
) -> None:
    asked = (("query.statistics", 0), ("train", ROUND), ("evaluate", 4), ("query.release", 5))
    moments = [honest[1].moments["north", kind, server_round] for kind, server_round in asked]
    codes = fuzzed_codes(moments, tmp_path / "north", number=number)
    assert len(codes) > 8, codes


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    return rehearsed(tmp_path_factory.mktemp("masked"), masks=True)


@numbers
def test_a_site_of_a_masked_run_answers_or_refuses_by_type(
    masked: Honest, tmp_path: Path, number: int
) -> None:
    asked = (("query.confirm", ROUND), ("train", ROUND), ("query.confirm", 4), ("evaluate", 4))
    moments = [masked[1].moments["north", kind, server_round] for kind, server_round in asked]
    codes = fuzzed_codes(moments, tmp_path / "north", number=number)
    assert len(codes) > 8, codes


@pytest.fixture(scope="module")
def hungary(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return ward(tmp_path_factory.mktemp("ward"))


@numbers
def test_a_site_of_a_run_in_the_clear_answers_or_refuses_by_type(
    hungary: Ward, number: int
) -> None:
    charter = hungary.site.charter.fingerprint
    vector = hungary.vector()
    asked = [
        (messages.HELLO, messages.greeting(charter, bytes(32))),
        (messages.STATISTICS, messages.question(charter)),
        (messages.TRAIN, hungary.position(vector)),
        (messages.EVALUATE, hungary.position(vector)),
    ]
    rng = np.random.default_rng(7)
    codes: Counter[str] = Counter()
    for _ in range(number):
        kind, content = asked[rng.integers(len(asked))]
        code = hungary.refusal(kind, mutated(content, rng))
        assert code != UNFORESEEN, f"{kind}: {hungary.log[-3_000:]}"
        codes[code] += 1
    assert len(codes) > 3, codes


def spoiling(rng: np.random.Generator, spoiled: list[int]) -> SmallSite:
    """Return a site each of whose answers is mutated."""

    def spoil(content: RecordDict) -> RecordDict:
        spoiled.append(1)
        return mutated(content, rng)

    kinds = (messages.HELLO, messages.STATISTICS, messages.TRAIN, messages.EVALUATE)
    some = [kind for kind in kinds if rng.random() < 0.6]
    return SmallSite(name="south", spoil=dict.fromkeys(some, spoil))


@numbers
def test_a_coordinator_in_the_clear_goes_on_without_who_sends_nonsense(number: int) -> None:
    rng = np.random.default_rng(7)
    spoiled: list[int] = []
    while len(spoiled) < number:
        others = [site for site in small_honest(NAMES) if site.name != "south"]
        outcome = Outcome()
        strategy = strategy_of(outcome, cohort=cohort_of(quorum=2))
        strategy.start(grid_of([*others, spoiling(rng, spoiled)]), 2)
        assert np.isfinite(outcome.kept[-1].state.vector).all()
        assert {site for site, _ in outcome.quarantined} <= {"south", "node 1004"}


class Nonsense:
    """What a site says to a coordinator of an encrypted run, and what else it might have said.

    Answers that bring keys are mutated on their way. Each other answer comes as it is, and before
    it, many mutated ones come to a twin of the question that was put.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.tried = rng, 0
        self.liar = NAMES[rng.integers(len(NAMES))]
        self.events: list[RunEvent] = []
        self.strategy: Encrypted

    def started(self, _grid: InProcessGrid, strategy: Encrypted) -> None:
        """Remember who asks."""
        self.strategy = strategy

    def up(self, passing: Passing) -> RecordDict:
        """Try it, or spoil it."""
        if passing.kind in SEALED:
            question = self.strategy._question
            asked = Message(RecordDict(), question.nodes[passing.site], passing.kind)
            for _ in range(_TRIES):
                content = mutated(passing.content, self.rng)
                self._twin(question).gather([Message(content, reply_to=asked)])
            self.tried += _TRIES
        elif passing.site == self.liar and self.rng.random() < 0.5:
            self.tried += 1
            return mutated(passing.content, self.rng)
        return passing.content

    def _twin(self, question: SealedRequest) -> SealedRequest:
        sums = {
            purpose: CiphertextSums(
                form=one.form, slot=one.slot, roster=one.roster, keep=lambda *_: None
            )
            for purpose, one in question.sums.items()
        }
        return replace(question, sums=sums, replies={}, left_out={}, observe=self.events.append)


@numbers
def test_a_coordinator_of_an_encrypted_run_refuses_by_type_and_goes_on_or_stops(
    tmp_path: Path, number: int
) -> None:
    rng = np.random.default_rng(7)
    consortium, tried = Consortium.placed(tmp_path / "run"), 0
    codes: set[str] = set()
    seeds = count(1)  # from one seed, sites answer for one set of sites only
    while tried < number:
        nonsense = Nonsense(rng)
        course = consortium.start(
            up=nonsense.up,
            started=nonsense.started,
            num_server_rounds=1,
            quorum=3,
            seed=next(seeds),
        )
        told = [*nonsense.events, *course.events]
        codes |= {one.code for one in told if isinstance(one, SiteQuarantined)}
        nodes = {f"node {1001 + index}" for index in range(len(NAMES))}
        # The others refuse what they can read of no opener, and are asked again with the next.
        told_apart = {site for _, site, code in course.quarantined if code != OPENING_REFUSED}
        assert told_apart <= {nonsense.liar, *nodes}
        tried += nonsense.tried
    assert len(codes) > 5, codes


@pytest.mark.parametrize(
    ("learner", "value"), [("scorecard", -1.0), ("scorecard", 1e30), ("trees", 0.5), ("glm", 1e30)]
)
@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_site_that_counts_refuses_a_state_that_no_run_has_by_its_code(
    kind: str, learner: str, value: float, tmp_path: Path
) -> None:
    """In the clear the coordinator sends the state: the site says what is wrong with it."""
    hungary = ward(tmp_path, learner=learner)
    shown = np.full(hungary.site.task.layout.dim, value)
    assert hungary.refusal(kind, hungary.position(shown)) == "impossible-state"
