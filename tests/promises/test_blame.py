"""The audit of sums accuses nobody who is innocent."""

from dataclasses import replace
from pathlib import Path

from flwr.app import RecordDict

from consortium.audit import journal as audit
from consortium.client.audit_trail import journal_of
from privacy.protocol.signed_question import PARTS
from tests.carrier import staged
from tests.small_consortium import (
    NAMES,
    Consortium,
    Passing,
    altered,
    forget_processes,
    read_round,
)
from tests.tampering import Liar, spoiled_tag, with_constant


def test_the_audit_does_not_clear_a_coordinator_that_altered_sums_on_their_way(
    tmp_path: Path,
) -> None:
    """Its own files are honest; were they right, one of the members would have spoiled its part."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")

    def down(passing: Passing) -> RecordDict:
        if passing.kind != "train" or passing.number != 2:
            return passing.content
        request = read_round(passing.content)
        placement = consortium.place(passing.site).session(request).terms.updates
        return altered(passing.content, sums=with_constant(request.sums, placement))

    course = consortium.start(down=down)
    refused = {site for _, site, code in course.quarantined if "checksum-failed" in code}
    staged(so=refused == set(NAMES), what="a site accepted an altered sum")
    told = consortium.audited()["updates 1"]
    assert told == (
        "the coordinator signed another sum for east, north, south, west than that of the signed "
        "uploads"
    )
    # The evidence of a single site is enough; without any nobody is accused.
    assert "another sum for east than" in consortium.verdicts("east")["updates 1"].deviation
    alone = consortium.verdicts()["updates 1"]
    assert (alone.deviation, alone.undecided) == (
        "",
        "no site gave evidence that it was shown this sum",
    )


def test_who_spoiled_its_part_is_in_the_bucket_that_is_blamed(tmp_path: Path) -> None:
    """The coordinator is innocent, and the sites' evidence says so."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    course = Liar(consortium, "west", "train", spoiled_tag).run()
    assert course.error is not None
    told = consortium.audited()["updates 1"]
    assert told.startswith(
        "one of east, north, south, west spoiled its part: the coordinator added"
    )
    # The word of one site, or of two of four, convicts no member.
    for givers in (("east",), ("east", "west")):
        verdict = consortium.verdicts(*givers)["updates 1"]
        assert not verdict.deviation
        assert "not at more than half" in verdict.undecided


def test_a_site_cannot_accuse_the_coordinator_of_what_it_did_not_sign(tmp_path: Path) -> None:
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")
    assert consortium.start().error is None
    before = consortium.verdicts("east")["updates 3"]
    assert before.text == "added correctly, and shown so to east"
    invented = {name: bytes(32).hex() for name in PARTS}
    place = consortium.place("east")
    journal_of(place.directory, "east").note(
        audit.SHOWN, round=4, attempt=1, signed=bytes(64).hex(), **invented
    )
    journal_of(place.directory, "east").commit()
    assert consortium.verdicts("east")["updates 3"] == before


def test_a_question_that_the_coordinator_did_not_sign_is_not_opened(tmp_path: Path) -> None:
    """What was altered by somebody else on its way, or lacks the signature, burns no key."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run")

    def down(passing: Passing) -> RecordDict:
        if passing.kind != "train" or passing.number != 2:
            return passing.content
        request = read_round(passing.content)
        stale = request.signature if passing.site in {"east", "north"} else b""
        sums = request.sums[:-1] + bytes([request.sums[-1] ^ 1])
        return replace(request, sums=sums, signature=stale).content()

    course = consortium.start(down=down)
    codes = {code for number, _, code in course.quarantined if number == 2}
    assert codes == {"site-refused.bad-signature"}
    undisturbed = consortium.start()
    assert undisturbed.error is None, "no key was burned"


def test_without_a_key_in_the_charter_nothing_is_decided(tmp_path: Path) -> None:
    """So it is in consortia whose charter is of version 0.1.0."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", coordinator_key="")
    course = consortium.start()
    assert course.error is None
    verdict = consortium.verdicts(*NAMES)["updates 3"]
    assert verdict.text == (
        "added correctly; not decided: the charter names no key of the coordinator"
    )
