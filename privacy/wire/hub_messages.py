"""The messages between a coordinator and a hub: many questions in one, and their answers.

A hub passes on what it is given, and what its members answer. Where it adds uploads itself, the
answers come without them, and one sum stands in their place. Nothing here is believed: what a hub
says is checked by whoever uses it, and what members say carries their own signatures.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from privacy.canonical import DIGEST_SIZE
from privacy.identity.public_identity import SIGNATURE_SIZE
from privacy.protocol.membership_proof import CHALLENGE_SIZE
from privacy.wire import flower_records as wire

Fact: TypeAlias = str | int | float | bytes

HUB_HELLO = "query.hub_hello"
HUB_CARRY = "query.hub_carry"
HUB_END = "query.hub_end"

_LENGTH = 64
_KIND = "kind"
_GROUP = "group"
_CHARTER = "charter"
_CONFIG = "config"
_CHALLENGE = "challenge"
_NAME = "name"
_HUB = "hub"
_SESSION = "session"
_PROOF = "proof"
_NODES = "nodes"
_SITES = "sites"
_CONTENTS = "contents"
_LAYOUT = "layout"
_RUN = "run"
_ERROR = "error"
_DIGEST = "digest"
_BYTES = "bytes"
_SUMMED = "summed"
_ABOUT = "about"
_SUMS = "sums"
_STATEMENT = ".statement"
_MOST = 2**20  # names and numbers, joined
_MAX_SUM_STATEMENT = 2**18
_NO_ERROR = -1
_OF_PASSED = {_NAME, _CHARTER, _CONFIG, _KIND, _GROUP, _NODES, _SITES, _CONTENTS, _LAYOUT}
_OF_BROUGHT = {_ERROR, _RUN, _DIGEST, _BYTES, _SUMMED}


@dataclass(frozen=True, kw_only=True)
class HubHello:
    """What a coordinator asks a node that may be a hub, and what a hub answers.

    Args:
        name: The name of the run at the coordinator: letters, digits and . _ - alone.
        charter: Fingerprint of the charter, hexadecimal.
        config: Digest of the run config, hexadecimal.
        challenge: Random bytes, for the hub to sign.
    """

    name: str
    charter: str
    config: str
    challenge: bytes

    def content(self) -> RecordDict:
        """Return the content of the question."""
        facts: dict[str, Fact] = {
            _NAME: self.name,
            _CHARTER: self.charter,
            _CONFIG: self.config,
            _CHALLENGE: self.challenge,
        }
        return wire.content({}, facts)

    @classmethod
    def read(cls, record: RecordDict) -> "HubHello":
        """Parse what `content` wrote; raise MalformedRecord for anything else."""
        _, facts = wire.read_content(
            record, arrays=frozenset(), facts=frozenset({_NAME, _CHARTER, _CONFIG, _CHALLENGE})
        )
        challenge = _fact_bytes(facts, _CHALLENGE, size=CHALLENGE_SIZE)
        return cls(
            name=_run_name(facts),
            charter=wire.fact_str(facts, _CHARTER, at_most=_LENGTH),
            config=wire.fact_str(facts, _CONFIG, at_most=_LENGTH),
            challenge=challenge,
        )


@dataclass(frozen=True, kw_only=True)
class HubIsHere:
    """What a hub answers to a greeting.

    Args:
        hub: Its name.
        session: Random text, new when the hub's own run begins anew: then each member has a new
            key for the digests of its log.
        nodes: The nodes of its members, as far as they are there.
        proof: Its signature of `HubPresence`.
    """

    hub: str
    session: str
    nodes: tuple[int, ...]
    proof: bytes

    def content(self) -> RecordDict:
        """Return the content of the answer."""
        facts: dict[str, Fact] = {
            _HUB: self.hub,
            _SESSION: self.session,
            _NODES: _joined(self.nodes),
            _PROOF: self.proof,
        }
        return wire.content({}, facts)

    @classmethod
    def read(cls, record: RecordDict) -> "HubIsHere":
        """Parse what `content` wrote; raise MalformedRecord for anything else."""
        _, facts = wire.read_content(
            record, arrays=frozenset(), facts=frozenset({_HUB, _SESSION, _NODES, _PROOF})
        )
        return cls(
            hub=wire.fact_str(facts, _HUB, at_most=_LENGTH),
            session=wire.fact_str(facts, _SESSION, at_most=_LENGTH),
            nodes=_numbers(wire.fact_str(facts, _NODES, at_most=_MOST)),
            proof=_fact_bytes(facts, _PROOF, size=SIGNATURE_SIZE),
        )


@dataclass(frozen=True, kw_only=True)
class Passed:
    """Questions of one kind to members of one hub.

    Args:
        name: The name of the run at the coordinator: letters, digits and . _ - alone.
        charter: Fingerprint of the charter, hexadecimal.
        config: Digest of the run config, hexadecimal.
        kind: Flower's message type.
        group: Flower's group id: the round.
        nodes: Whom to ask.
        sites: The member that each is, as it introduced itself; empty before that.
        contents: The different contents.
        asked: For each node, which of them it is asked.
        layout: Of the vector that they train; empty where none is agreed on.
    """

    name: str
    charter: str
    config: str
    kind: str
    group: str
    nodes: tuple[int, ...]
    sites: tuple[str, ...]
    contents: tuple[RecordDict, ...] = field(repr=False)
    asked: tuple[int, ...]
    layout: bytes = field(default=b"", repr=False)

    def content(self) -> RecordDict:
        """Return the content of the message."""
        facts: dict[str, Fact] = {
            _NAME: self.name,
            _CHARTER: self.charter,
            _CONFIG: self.config,
            _KIND: self.kind,
            _GROUP: self.group,
            _NODES: _joined(self.nodes),
            _SITES: ",".join(self.sites),
            _CONTENTS: _joined(self.asked),
            _LAYOUT: self.layout,
        }
        return RecordDict({_ABOUT: ConfigRecord({**facts}), **_numbered(self.contents)})

    @classmethod
    def read(cls, record: RecordDict) -> "Passed":
        """Parse what `content` wrote; raise MalformedRecord for anything else."""
        facts = _about(record, _ABOUT, _OF_PASSED)
        nodes = _numbers(_text(facts, _NODES))
        asked = _numbers(_text(facts, _CONTENTS))
        sites = tuple(_text(facts, _SITES).split(","))
        contents = _unnumbered(record)
        if not len(nodes) == len(asked) == len(sites) or set(asked) != set(contents):
            raise wire.MalformedRecord("nodes, sites and contents must belong together")
        return cls(
            name=_run_name(facts),
            charter=_text(facts, _CHARTER),
            config=_text(facts, _CONFIG),
            kind=_text(facts, _KIND),
            group=_text(facts, _GROUP),
            nodes=nodes,
            sites=sites,
            contents=tuple(contents[at] for at in sorted(contents)),
            asked=asked,
            layout=_fact_bytes(facts, _LAYOUT),
        )


@dataclass(frozen=True, kw_only=True)
class Brought:
    """One member's answer, as a hub brings it.

    Args:
        content: What it answered, without uploads that were added; empty if it was an error.
        error: Flower's code of an error; None if there is none.
        run: Flower's number of the run in which it was asked.
        digest: The digest of the whole answer, as the member's log names it; empty for an error.
        num_bytes: Bytes of its arrays, as they came.
        summed: Whether its uploads are in the hub's sums.
    """

    content: RecordDict = field(default_factory=RecordDict, repr=False)
    error: int | None = None
    run: int = 0
    digest: bytes = b""
    num_bytes: int = 0
    summed: bool = False


@dataclass(frozen=True, kw_only=True)
class SignedSum:
    """A sum of a hub with the hub's statement of it, encoded (`HubSum`)."""

    statement: bytes
    summed: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class HubAnswer:
    """The answers of a hub's members, and what the hub added.

    Args:
        nodes: The nodes of all members that are there now.
        brought: The answers, in the order in which they were asked.
        sums: The sums, one for each purpose and bucket.
    """

    nodes: tuple[int, ...]
    brought: tuple[Brought, ...]
    sums: tuple[SignedSum, ...] = ()

    def content(self) -> RecordDict:
        """Return the content of the message."""
        records = {
            f"{at}.{_ABOUT}": ConfigRecord(
                {
                    _ERROR: _NO_ERROR if one.error is None else one.error,
                    _RUN: str(one.run),
                    _DIGEST: one.digest,
                    _BYTES: one.num_bytes,
                    _SUMMED: int(one.summed),
                }
            )
            for at, one in enumerate(self.brought)
        }
        sums = {}
        for at, one in enumerate(self.sums):
            sums[f"{at}"] = wire.bytes_array(one.summed)
            sums[f"{at}{_STATEMENT}"] = wire.bytes_array(one.statement)
        head = ConfigRecord({_NODES: _joined(self.nodes)})
        contents = _numbered([one.content for one in self.brought])
        return RecordDict({_ABOUT: head, _SUMS: ArrayRecord(sums), **records, **contents})

    @classmethod
    def read(cls, record: RecordDict, *, asked: int) -> "HubAnswer":
        """Parse what `content` wrote; raise MalformedRecord for anything else.

        Args:
            record: From a hub, not trusted.
            asked: How many members were asked.
        """
        contents = _unnumbered(record)
        if set(contents) - set(range(asked)):
            raise wire.MalformedRecord("a hub must bring the answers of those that were asked")
        brought = tuple(_brought(contents.get(at, RecordDict()), at, record) for at in range(asked))
        nodes = _numbers(_text(_about(record, _ABOUT, {_NODES}), _NODES))
        return cls(nodes=nodes, brought=brought, sums=_sums_in(record))


@dataclass(frozen=True, eq=False, kw_only=True)
class HubPart:
    """What one hub added of one question, not yet checked.

    Args:
        hub: The hub's name; its node proved to be it.
        contents: The answers of the members in the sums, by node, without their uploads.
        sums: The sums, with the hub's statements.
    """

    hub: str
    contents: Mapping[int, RecordDict]
    sums: tuple[SignedSum, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of the sums."""
        return sum(len(one.summed) for one in self.sums)


class Relayed(RecordDict):
    """The content of a member's answer that came through a hub, with what the hub says of it.

    It is of a type of its own, made where a hub's message is read, so that no peer can send one.

    Args:
        brought: The answer.
        part: What the hub added, if the uploads of this answer are in it; else None.
        carries: Bytes of the sums if this answer stands for them: the first of its part.
    """

    def __init__(self, brought: Brought, part: HubPart | None = None, *, carries: int = 0) -> None:
        super().__init__(dict(brought.content.items()))
        self.brought = brought
        self.part = part
        self.carries = carries


def part_of(content: RecordDict) -> HubPart | None:
    """Return what a hub added of an answer's uploads; None if they are in the answer itself."""
    return content.part if isinstance(content, Relayed) else None


def carried_bytes(content: RecordDict) -> int:
    """Return the bytes of a hub's sums, for the one answer that stands for them; else 0."""
    return content.carries if isinstance(content, Relayed) else 0


def run_of(content: RecordDict, run: int) -> int:
    """Return Flower's number of the run in which a member was asked.

    Args:
        content: Its answer.
        run: That of this coordinator's run, where no hub stands between.
    """
    return content.brought.run if isinstance(content, Relayed) else run


def _brought(content: RecordDict, at: int, record: RecordDict) -> Brought:
    facts = _about(record, f"{at}.{_ABOUT}", _OF_BROUGHT)
    error = wire.fact_int(facts, _ERROR, low=_NO_ERROR, high=2**31)
    return Brought(
        content=content,
        error=None if error == _NO_ERROR else error,
        run=_number(_text(facts, _RUN)),
        digest=_fact_bytes(facts, _DIGEST, size=0 if error != _NO_ERROR else DIGEST_SIZE),
        num_bytes=wire.fact_int(facts, _BYTES, low=0, high=2**62),
        summed=bool(wire.fact_int(facts, _SUMMED, low=0, high=1)),
    )


def _sums_in(record: RecordDict) -> tuple[SignedSum, ...]:
    arrays = record.get(_SUMS)
    if not isinstance(arrays, ArrayRecord) or len(arrays) % 2:
        raise wire.MalformedRecord("a hub must bring sums, each with a statement")
    places = [str(at) for at in range(len(arrays) // 2)]
    if {*arrays} != {*places, *(f"{at}{_STATEMENT}" for at in places)}:
        raise wire.MalformedRecord("a hub must bring sums, each with a statement")
    return tuple(
        SignedSum(
            statement=wire.read_bytes(arrays[f"{at}{_STATEMENT}"], at_most=_MAX_SUM_STATEMENT),
            summed=wire.read_bytes(arrays[at], at_most=len(arrays[at].data)),
        )
        for at in places
    )


def _numbered(contents: Sequence[RecordDict]) -> dict[str, Any]:
    return {f"{at}.{name}": one for at, part in enumerate(contents) for name, one in part.items()}


def _unnumbered(record: RecordDict) -> dict[int, RecordDict]:
    """Return the contents that `_numbered` wrote, by their numbers."""
    found: dict[int, dict[str, Any]] = {}
    for key in record:
        at, dot, name = key.partition(".")
        if dot and name != _ABOUT:
            found.setdefault(_number(at), {})[name] = record[key]
    return {at: RecordDict(part) for at, part in found.items()}


def _about(record: RecordDict, key: str, facts: Set[str]) -> ConfigRecord:
    found = record.get(key)
    if not isinstance(found, ConfigRecord) or set(found) != facts:
        raise wire.MalformedRecord(f"a message of a hub must state {sorted(facts)}")
    return found


def _joined(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))  # as text: Flower's numbers may need all 64 bits


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_number(one) for one in text.split(",")) if text else ()


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,20}", text):
        raise wire.MalformedRecord("a hub must name nodes and runs by their numbers")
    return int(text)


def run_name(name: str) -> str:
    """Return the name of a run as hubs are told it: they name a directory so."""
    return re.sub("[^A-Za-z0-9_.-]", "-", name).lstrip(".")[:_LENGTH] or "run"


def _run_name(facts: ConfigRecord) -> str:
    name = wire.fact_str(facts, _NAME, at_most=_LENGTH)
    if name != run_name(name):
        raise wire.MalformedRecord("a run's name must be letters, digits and . _ - alone")
    return name


def _text(facts: ConfigRecord, name: str) -> str:
    return wire.fact_str(facts, name, at_most=_MOST)


def _fact_bytes(facts: ConfigRecord, name: str, *, size: int | None = None) -> bytes:
    value = facts[name]
    if not isinstance(value, bytes) or size not in (None, len(value)):
        raise wire.MalformedRecord(f"{name} must be {'' if size is None else size} bytes")
    return value
