"""A site's part in a draw of buckets: one set of commitments, one share, one seed, for ever."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement, NotAMember
from privacy.protocol.bucket_draw import Draw, WrongCommitment, WrongShare
from privacy.protocol.receipts import NotInRoster, TooFewOthers
from privacy.secrets import bucket_draws
from privacy.secrets.bucket_draws import (
    NoBucketDraw,
    OtherCommitments,
    SiteDraws,
    TooManyDraws,
)
from privacy.secrets.keys import Identity
from privacy.secrets.replay_guard import SiteMemory
from privacy.storage.sqlite import MemoryUnavailable

NAMES = ("east", "north", "south", "west")
HONEST, LIAR = NAMES[:3], "west"


class Sites:
    """Honest sites, and the keys of one that lies."""

    def __init__(self, folder: Path, identities: dict[str, Identity], agreement: Agreement) -> None:
        self.folder, self.identities, self.agreement = folder, identities, agreement
        self.charter_draw = Draw(charter=agreement.charter, roster=NAMES)
        self.memories: dict[str, SiteMemory] = {}
        self.restart(*HONEST)

    def restart(self, *names: str) -> None:
        """Open the memory of these sites, as a new process does."""
        for name in names:
            if name in self.memories:
                self.memories[name].close()
            self.memories[name] = SiteMemory(self.folder / name)

    def close(self) -> None:
        """Close every memory."""
        for memory in self.memories.values():
            memory.close()

    def at(self, name: str) -> SiteDraws:
        """Return an honest site's part in draws."""
        return SiteDraws(
            identity=self.identities[name],
            agreement=self.agreement,
            memory=self.memories[name].draws,
        )

    def commitments(self, liars_share: bytes) -> dict[str, bytes]:
        """Return what all sites commit to, the liar to a share of its choice."""
        made = {}
        for name in HONEST:
            made[name] = self.at(name).commit(NAMES)[0][name]
        sign = self.identities[LIAR].sign
        made[LIAR] = self.charter_draw.commit(LIAR, liars_share, sign).encode()
        return made

    def honest_shares(self) -> dict[str, bytes]:
        """Return what the honest sites would reveal for all four."""
        draw = self.charter_draw.digest
        return {name: self.identities[name].bucket_share(draw) for name in HONEST}


@pytest.fixture
def sites(tmp_path: Path, identities: dict[str, Identity], agreement: Agreement) -> Iterator[Sites]:
    made = Sites(tmp_path, identities, agreement)
    yield made
    made.close()


def share(number: int) -> bytes:
    return bytes([number]) * 32


def test_all_hold_the_same_draw_also_after_a_restart(sites: Sites) -> None:
    made = sites.commitments(share(1))
    shares = {name: sites.at(name).reveal(made) for name in HONEST} | {LIAR: share(1)}
    for name in HONEST:
        assert sites.at(name).commit(NAMES) == (made, False)
        sites.at(name).draw(shares)
        sites.at(name).draw(shares)
    sites.restart(*HONEST)
    assert {sites.at(name).seed(NAMES) for name in HONEST} == {sites.charter_draw.seed(shares)}
    assert sites.at("east").commit(NAMES) == (made, True)
    assert sites.at("east").reveal(made) == shares["east"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(HONEST),
        st.sampled_from(["reveal", "draw", "restart"]),
        st.integers(1, 3),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_a_site_draws_with_the_share_that_was_committed_to_before_it_revealed_its_own(
    steps: list[tuple[str, str, int]], identities: dict[str, Identity], agreement: Agreement
) -> None:
    """Whatever the liar commits to, shows to whom, reveals, in whatever order."""
    with TemporaryDirectory() as folder:
        sites = Sites(Path(folder), identities, agreement)
        first: dict[str, int] = {}
        for name, what, number in steps:
            if what == "restart":
                sites.restart(name)
                continue
            try:
                if what == "reveal":
                    sites.at(name).reveal(sites.commitments(share(number)))
                    first.setdefault(name, number)
                    assert first[name] == number
                else:
                    shares = sites.honest_shares() | {LIAR: share(number)}
                    sites.at(name).draw(shares)
                    assert first[name] == number
                    assert sites.at(name).seed(NAMES) == sites.charter_draw.seed(shares)
            except OtherCommitments:
                assert first[name] != number
            except WrongShare:
                assert first[name] != number
            except NoBucketDraw:
                assert name not in first
        sites.close()


def test_a_share_is_revealed_for_the_first_commitments_only(sites: Sites) -> None:
    sites.at("east").reveal(sites.commitments(share(1)))
    sites.restart("east")
    with pytest.raises(OtherCommitments, match="run without it"):
        sites.at("east").reveal(sites.commitments(share(2)))


def test_a_share_is_revealed_only_if_its_own_commitment_is_among_them(sites: Sites) -> None:
    draw, east = sites.charter_draw, sites.identities["east"]
    made = sites.commitments(share(1))
    for altered in (
        {**made, "east": draw.commit("east", share(9), east.sign).encode()},
        {name: made[name] for name in ("east", "north", "south")},
    ):
        with pytest.raises(WrongCommitment):
            sites.at("east").reveal(altered)
    assert sites.at("east").commit(NAMES) == ({"east": made["east"]}, False)


def test_there_is_no_draw_without_commitments_and_no_bucket_without_a_draw(sites: Sites) -> None:
    shares = sites.honest_shares() | {LIAR: share(1)}
    with pytest.raises(NoBucketDraw, match="no commitments"):
        sites.at("east").draw(shares)
    sites.at("east").reveal(sites.commitments(share(1)))
    with pytest.raises(NoBucketDraw, match="start the run anew"):
        sites.at("east").seed(NAMES)


@pytest.mark.parametrize(
    ("roster", "refused"),
    [
        (("north", "south", "west"), NotInRoster),
        (("east", "north"), TooFewOthers),
        (("centre", "east", "north"), NotAMember),
        (("north", "east", "south"), MalformedEnvelope),
        ((), NotInRoster),
    ],
)
def test_a_roster_that_the_charter_does_not_allow_is_not_drawn_for(
    sites: Sites, roster: tuple[str, ...], refused: type[ConsortiumError]
) -> None:
    east = sites.at("east")
    for ask in (
        lambda: east.commit(roster),
        lambda: east.seed(roster),
        lambda: east.draw(dict.fromkeys(roster, share(1))),
    ):
        with pytest.raises(refused):
            ask()


def test_each_roster_has_a_draw_of_its_own(sites: Sites) -> None:
    everyone = sites.at("east").commit(NAMES)[0]["east"]
    three = sites.at("east").commit(NAMES[:3])[0]["east"]
    assert everyone != three
    made = {name: sites.at(name).commit(NAMES[:3])[0][name] for name in NAMES[:3]}
    shares = {name: sites.at(name).reveal(made) for name in NAMES[:3]}
    assert not set(shares.values()) & set(sites.honest_shares().values())
    sites.at("east").draw(shares)
    assert sites.at("east").seed(NAMES[:3])
    with pytest.raises(NoBucketDraw):
        sites.at("east").seed(NAMES)


def made_for(sites: Sites, draw: Draw) -> dict[str, bytes]:
    """Return commitments of all sites of a roster, as a coordinator collects them."""
    made = {}
    for name in draw.roster:
        identity = sites.identities[name]
        share = identity.bucket_share(draw.digest)
        made[name] = draw.commit(name, share, identity.sign).encode()
    return made


def test_a_coordinator_that_asks_for_ever_new_rosters_comes_to_an_end(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does it fill the disk, nor choose among all draws. What was drawn stays."""
    monkeypatch.setattr(bucket_draws, "MOST_DRAWS", 2)
    charter, rosters = sites.agreement.charter, [NAMES, *(set(NAMES) - {one} for one in NAMES[1:])]
    draws = [Draw(charter=charter, roster=tuple(sorted(roster))) for roster in rosters]
    shares = [sites.at("east").reveal(made_for(sites, draw)) for draw in draws[:2]]
    for _ in range(2):
        east = sites.at("east")
        for draw in draws[2:]:
            with pytest.raises(TooManyDraws, match="next revision"):
                east.reveal(made_for(sites, draw))
            assert not east.memory.commitments(draw)
        assert shares == [east.reveal(made_for(sites, draw)) for draw in draws[:2]]
        with pytest.raises(OtherCommitments):
            east.reveal(sites.commitments(share(2)))
        sites.restart("east")
    revised = replace(sites.agreement, charter=bytes(32))
    draw = Draw(charter=revised.charter, roster=NAMES)
    assert replace(sites.at("east"), agreement=revised).reveal(made_for(sites, draw))


def test_no_share_leaves_if_the_disk_is_full(sites: Sites) -> None:
    """The site is bound to nothing then, and reveals its share for what it is shown next."""
    database = sites.memories["east"]._database
    made = sites.commitments(share(1))
    (pages,) = database.row("PRAGMA page_count")
    database.row(f"PRAGMA max_page_count = {pages}")
    with suppress(MemoryUnavailable):
        for number in range(1_000):
            filler = number.to_bytes(32, "big")
            database.execute("INSERT INTO bucket_draws VALUES (?, ?, ?, ?, NULL)", *[filler] * 4)
    with pytest.raises(MemoryUnavailable):
        sites.at("east").reveal(made)
    with pytest.raises(NoBucketDraw):
        sites.at("east").draw(sites.honest_shares() | {LIAR: share(1)})
    sites.restart("east")
    other = sites.commitments(share(2))
    assert sites.at("east").reveal(other) == sites.honest_shares()["east"]
    with pytest.raises(OtherCommitments):
        sites.at("east").reveal(made)


def test_a_memory_of_an_earlier_version_draws_like_any(sites: Sites) -> None:
    sites.memories["east"]._database.execute("DROP TABLE bucket_draws")
    sites.restart("east")
    made = sites.commitments(share(1))
    sites.at("east").reveal(made)
    sites.at("east").draw(sites.honest_shares() | {LIAR: share(1)})
    assert sites.at("east").seed(NAMES)


HOSTILE = st.one_of(
    st.dictionaries(st.sampled_from([*NAMES, "", "East", "centre", "e" * 200]), st.binary()),
    st.dictionaries(st.sampled_from(NAMES), st.binary(min_size=32, max_size=32), min_size=4),
)


@settings(max_examples=60, deadline=None)
@given(parts=HOSTILE, altered=st.sampled_from(NAMES), at=st.integers(0, 200))
def test_hostile_parts_are_refused_by_type_and_bind_nothing(
    parts: dict[str, bytes],
    altered: str,
    at: int,
    identities: dict[str, Identity],
    agreement: Agreement,
) -> None:
    with TemporaryDirectory() as folder:
        sites = Sites(Path(folder), identities, agreement)
        east, made = sites.at("east"), sites.commitments(share(1))
        one = bytearray(made[altered])
        one[at % len(one)] ^= 1
        for shown in (parts, {**made, altered: bytes(one)}):
            for ask in (east.reveal, east.draw):
                with pytest.raises(ConsortiumError):
                    ask(shown)
        assert not east.memory.commitments(sites.charter_draw)
        sites.close()
