"""What leaves a site, whatever happens in it."""

from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from consortium.client.mod_types import Next
from consortium.client.mods import seal_messages, typed_refusals
from privacy.errors import ConsortiumError
from privacy.wire import flower_records as wire
from privacy.wire import messages
from tests.consortium.staged import Ward, code_of, message, ward

SECRET = "patient Jane Roe, 61, cholesterol 285"  # noqa: S105 -- a record, not a password
ANSWER = RecordDict({"config": ConfigRecord({"x": 1})})


class TooManyBeds(ConsortiumError, ValueError, code="too-many-beds"):
    """A refusal of the tests' own."""


@pytest.fixture
def hungary(tmp_path: Path) -> Ward:
    return ward(tmp_path)


def raising(error: BaseException) -> Next:
    def answer(_message: Message, _context: Context) -> Message:
        raise error

    return answer


def refused(error: BaseException, context: Context) -> RecordDict:
    asked = message(messages.TRAIN, RecordDict())
    return typed_refusals(asked, context, raising(error)).content


def everything(content: RecordDict) -> str:
    return repr([(name, dict(record)) for name, record in content.items()])


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
        TooManyBeds(SECRET, needed=9),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
        MemoryError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_text_of_an_exception_leaves_the_site_and_all_of_it_stays_in_its_log(
    error: Exception, hungary: Ward
) -> None:
    content = refused(error, hungary.context)
    assert code_of(content)
    assert "Jane" not in everything(content)
    assert "61" not in everything(content)
    assert "Jane" in hungary.log
    assert type(error).__name__ in hungary.log


def test_what_was_foreseen_leaves_as_its_code_and_counts(hungary: Ward) -> None:
    content = refused(TooManyBeds(SECRET, needed=9), hungary.context)
    assert wire.read_refusal(content) == ("too-many-beds", {"needed": 9})


def test_what_nobody_foresaw_leaves_as_one_code_whatever_it_was(hungary: Ward) -> None:
    for error in (RuntimeError(SECRET), ZeroDivisionError(), OSError(2, SECRET)):
        assert wire.read_refusal(refused(error, hungary.context)) == ("site-error", {})


@given(text=st.text(max_size=40), count=st.integers(-(2**41), 2**41))
def test_every_refusal_can_be_read_by_the_coordinator(text: str, count: int) -> None:
    nowhere = Context(1, 1, {}, RecordDict(), {})
    content = refused(TooManyBeds(text, needed=count), nowhere)
    assert wire.read_refusal(content) == ("too-many-beds", {"needed": count})


def test_a_process_that_is_no_site_refuses_all_the_same(tmp_path: Path) -> None:
    """Nothing can be logged where it is not known which site this is."""
    nowhere = Context(1, 1, {"site-dir": str(tmp_path / "gone")}, RecordDict(), {})
    assert code_of(refused(RuntimeError(SECRET), nowhere)) == "site-error"


def test_a_log_grows_by_every_refusal(hungary: Ward) -> None:
    for number in range(3):
        refused(RuntimeError(f"failure {number}"), hungary.context)
    assert [f"failure {number}" in hungary.log for number in range(3)] == [True] * 3


def test_an_operator_can_still_stop_the_process(hungary: Ward) -> None:
    with pytest.raises(KeyboardInterrupt):
        refused(KeyboardInterrupt(), hungary.context)


def test_an_answer_passes_as_it_is(hungary: Ward) -> None:
    asked = message(messages.TRAIN, RecordDict())
    reply = Message(ANSWER, reply_to=asked)
    for mod in (typed_refusals, seal_messages):
        assert mod(asked, hungary.context, lambda _m, _c: reply) is reply
    assert hungary.log == ""


# Under encryption; tests/consortium/test_round_the_seal.py has what is asked within a run.


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return ward(tmp_path_factory.mktemp("keyed"), aggregation="encrypted")


@pytest.mark.parametrize("kind", [messages.TRAIN, messages.EVALUATE, messages.STATISTICS])
def test_a_message_in_the_clear_is_answered_by_nothing_but_a_refusal(
    kind: str, keyed: Ward
) -> None:
    """Whatever the coordinator leaves out, it gets no update and no count."""
    question = messages.question(keyed.site.charter.fingerprint)
    for content in (question, keyed.position(keyed.vector()), RecordDict()):
        assert keyed.refusal(kind, content) == "malformed-record"


def test_hello_needs_no_seal_and_tells_no_count(keyed: Ward) -> None:
    greeting = messages.greeting(keyed.site.charter.fingerprint, b"c" * 32)
    answer = keyed.ask(messages.HELLO, greeting)
    said = messages.read_introduction(answer, max_examples=10**9)
    assert (said.site, said.num_examples) == ("hungary", 0)
