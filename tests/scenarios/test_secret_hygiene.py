"""No key leaves its site: whole runs, one of them attacked, are searched for key bytes."""

import base64
import logging
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flwr.app import Array, RecordDict

from consortium.protocol.parameters import update_placement
from privacy.errors import ConsortiumError
from tests.small_consortium import (
    NAMES,
    Consortium,
    Passing,
    altered,
    configured,
    read_round,
)
from tests.tampering import with_constant

_PIECE = 16
_PIECES = 3


@dataclass
class Searched:
    """A run, all its keys, and everything that others could get hold of.

    Args:
        keys: The keys by name.
        places: Bytes that may contain no key, by where they were found.
        sessions: Sessions of the sites, with all their keys.
    """

    keys: dict[str, bytes] = field(default_factory=dict)
    places: dict[str, bytes] = field(default_factory=dict)
    sessions: list[object] = field(default_factory=list)


def pieces(key: bytes) -> list[bytes]:
    """Return pieces of a key, spread over it and too long to occur elsewhere by chance."""
    starts = [at * (len(key) - _PIECE) // (_PIECES - 1) for at in range(_PIECES)]
    found = [key[start : start + _PIECE] for start in starts]
    return [piece for piece in found if len(set(piece)) > _PIECE // 2]


def forms(piece: bytes) -> list[bytes]:
    """Return the encodings in which these bytes could appear."""
    inner = [base64.b64encode(piece[shift:])[:16] for shift in range(3)]
    shown = repr(piece)[2:-1].encode()
    return [piece, piece.hex().encode(), piece.hex().upper().encode(), *inner, shown]


def leaks(keys: Mapping[str, bytes], places: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """Return the places and names of keys that appear."""
    names = {value: name for name, value in keys.items()}  # all sites share a run's keys
    wanted = [
        (name, form)
        for value, name in names.items()
        for one in pieces(value)
        for form in forms(one)
    ]
    return {(place, key) for place, held in places.items() for key, form in wanted if form in held}


def flatten(content: RecordDict) -> bytes:
    """Return all content of a message as bytes."""
    parts = []
    for name, record in content.items():
        parts.append(name.encode())
        for key, value in record.items():
            data = value.data if isinstance(value, Array) else value
            parts += [key.encode(), data if isinstance(data, bytes) else repr(data).encode()]
    return b"\n".join(parts)


@contextmanager
def capture_logs() -> Iterator[list[str]]:
    """Collect everything that is logged, at any level, with tracebacks."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(logging.Formatter("%(message)s").format(record))

    root, ear = logging.getLogger(), Ear(level=logging.DEBUG)
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.setLevel(level)
        root.removeHandler(ear)


def files_without_secrets(consortium: Consortium) -> dict[str, bytes]:
    """Return every file of a run except the sites' secrets."""
    root = consortium.run.path
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if "secrets" not in path.relative_to(root).parts
    }


def collect(consortium: Consortium, asked: Passing, found: Searched) -> None:
    """Collect the keys of the requested site, from its files and from the run."""
    name = asked.site
    for path in (consortium.run.site(name) / "secrets").rglob("*.secret"):
        digits = path.read_text().split()[-1]
        found.keys[f"{name}: {path.name}"] = bytes.fromhex(digits)
    session = consortium.place(name).session(read_round(asked.content))
    found.sessions.append(session)
    keys = session.terms.opened.keys
    found.keys |= {
        f"{name}: BFV": session.terms.opened.scheme_secret,
        f"{name}: state": keys.state,
        f"{name}: checksum": keys.checksum,
        f"{name}: pad": keys.pad,
    }


def search(folder: Path, *, attacked_search: bool) -> Searched:
    """Run, and collect all keys and everything that must not contain them."""
    consortium = Consortium.placed(folder / "run")
    layout = consortium.place(NAMES[0]).site.task.layout
    placement = update_placement(configured({}), consortium.charter, layout, 2)
    found = Searched()

    def down(passing: Passing) -> RecordDict:
        if (passing.kind, passing.number) == ("train", 2):
            collect(consortium, passing, found)
        if not attacked_search or (passing.kind, passing.number) != ("train", 3):
            return passing.content
        sums = with_constant(read_round(passing.content).sums, placement)
        return altered(passing.content, sums=sums)

    with capture_logs() as said:
        course = consortium.start(down=down)
    assert (course.error is not None) == attacked_search
    found.places = files_without_secrets(consortium)
    found.places["logs"] = "\n".join(said).encode()
    found.places["events"] = repr(course.events).encode()
    found.places["the end"] = f"{course.error!r} {course.error} {course.progress!r}".encode()
    for index, (passing, answer) in enumerate(course.seen):
        found.places[f"message {index}, {passing.kind}"] = flatten(passing.content)
        found.places[f"answer {index}, {passing.kind}"] = flatten(answer)
    return found


@pytest.fixture(scope="module")
def honest_search(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return search(tmp_path_factory.mktemp("honest"), attacked_search=False)


@pytest.fixture(scope="module")
def attacked_search(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    return search(tmp_path_factory.mktemp("attacked"), attacked_search=True)


def test_no_key_is_in_any_message_log_or_file_of_a_run(honest_search: Searched) -> None:
    """The files are those of the coordinator and of the sites, except the sites' secrets."""
    assert len(honest_search.keys) >= 7 * len(NAMES)
    assert {"logs", "events"} < set(honest_search.places)
    assert any(name.startswith("coordinator") for name in honest_search.places)
    assert any("memory.sqlite" in name for name in honest_search.places)
    assert leaks(honest_search.keys, honest_search.places) == set()


def test_no_key_leaks_when_a_tampered_sum_burns_a_key(
    attacked_search: Searched,
) -> None:
    assert b"checksum" in b"".join(attacked_search.places.values())
    assert leaks(attacked_search.keys, attacked_search.places) == set()


def test_no_key_is_in_the_repr_or_pickle_of_its_holder(honest_search: Searched) -> None:
    for session in honest_search.sessions:
        text = {"repr": repr(session).encode(), "str": str(session).encode()}
        try:
            text["pickle"] = pickle.dumps(session)
        except (ConsortiumError, TypeError, AttributeError, pickle.PicklingError) as error:
            text["refusal"] = repr(error).encode()
        assert leaks(honest_search.keys, text) == set()


def test_every_key_would_be_found_in_any_form(honest_search: Searched) -> None:
    """Otherwise the tests above could not fail."""
    for name, key in honest_search.keys.items():
        for piece in pieces(key):
            for written_down in (
                b"x" + key,
                b"x" + key.hex().encode(),
                repr({"key": piece}).encode(),
                base64.b64encode(b"1" + key),
                base64.b64encode(b"12" + key),
                base64.b64encode(b"123" + key),
            ):
                assert leaks({name: key}, {"planted": written_down}) == {("planted", name)}
    for site in NAMES:
        assert pieces(honest_search.keys[f"{site}: BFV"])
