"""The auditor of a run through hubs: who added what nobody signed, and what cannot be told."""

import hashlib
from dataclasses import replace

import pytest
from flwr.app import Context, Message

from consortium.audit.cross_check import gather_evidence
from consortium.audit.hub_parts import kept_parts
from consortium.audit.sum_verification import Auditor, SumCheck
from consortium.run.evidence_store import EvidenceStore
from privacy.identity.log_signing_key import SigningKey
from privacy.protocol.hub_sums import HubSum
from privacy.protocol.receipts import decode_receipts
from privacy.wire.hub_messages import HUB_CARRY, HubAnswer, Passed, SignedSum
from scenarios.engines.in_process import SiteApp
from strategies.coordinator.encrypted.rounds.ciphertext_sums import HUB_FILES
from tests.hub_consortium import placed_behind, started
from tests.small_consortium import NAMES, Consortium, configured

TWO = {"hub-a": ("east", "west"), "hub-b": ("north", "south")}


def verdicts(consortium: Consortium, *hubs: str) -> dict[str, SumCheck]:
    """Return what the auditor says of each sum, who has the files of these hubs."""
    run = consortium.run
    auditor = Auditor(
        consortium.charter,
        configured({}),
        EvidenceStore(run.vault),
        gather_evidence(sorted(run.path.glob("sites/*")), consortium.charter),
        {name: EvidenceStore(run.hub(name).vault) for name in hubs},
    )
    return {f"{one.what} {one.server_round}": one for one in auditor.check_sums()}


@pytest.fixture(scope="module")
def lied(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    """A run in which hub-b signs another sum of round 1 than that of its members' uploads."""
    consortium = placed_behind(tmp_path_factory.mktemp("lied"), TWO)
    key = SigningKey.at(consortium.run.hub("hub-b").key)

    def altered(one: SignedSum) -> SignedSum:
        said = HubSum.decode(one.statement)
        place = len(one.summed) // 2
        # Eight numbers become zero: to change one by a little would change the noise alone.
        wrong = one.summed[:place] + bytes(64) + one.summed[place + 64 :]
        digest = hashlib.sha256(wrong).digest()
        body = HubSum.body_of(**{**vars_of(said), "summed": digest})
        signed = replace(said, summed=digest, signature=key.sign(body))
        return SignedSum(statement=signed.encode(), summed=wrong)

    def lies(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        answer = app(asked, context)
        if hub == "hub-b" and asked.metadata.message_type == HUB_CARRY:
            passed = Passed.read(asked.content)
            if (passed.kind, passed.group) == ("train", "1"):
                told = HubAnswer.read(answer.content, asked=len(passed.nodes))
                first, *others = told.sums
                sums = (altered(first), *others)
                content = HubAnswer(nodes=told.nodes, brought=told.brought, sums=sums).content()
                return Message(content, reply_to=asked)
        return answer

    course = started(consortium, hook=lies)
    assert course.error is not None
    # The checksum of the whole sum fails at every site.
    assert {(2, name, "site-refused.checksum-failed") for name in NAMES} <= course.quarantined
    return consortium


def vars_of(said: HubSum) -> dict[str, object]:
    return {field: getattr(said, field) for field in HubSum.forms if field != "signature"}


def test_a_hub_that_adds_what_nobody_signed_is_found_by_the_sites_and_named_by_the_auditor(
    lied: Consortium,
) -> None:
    found = verdicts(lied, "hub-a", "hub-b")
    assert found["updates 1"].deviation == (
        "hub-b signed a sum other than that of the signed uploads"
    )
    assert found["statistics 0"].deviation == ""


def test_without_the_files_of_a_hub_it_is_not_decided_what_it_added(lied: Consortium) -> None:
    found = verdicts(lied, "hub-a")["updates 1"]
    assert (found.deviation, found.undecided) == (
        "",
        "the uploads that hub-b added are not here",
    )


def test_an_upload_that_a_hub_did_not_keep_counts_against_the_hub(lied: Consortium) -> None:
    kept = lied.run.hub("hub-b").vault / "round-0/statistics/upload-south.bin"
    held = kept.read_bytes()
    kept.unlink()
    try:
        found = verdicts(lied, "hub-a", "hub-b")["statistics 0"]
    finally:
        kept.write_bytes(held)
    assert found.deviation == "hub-b did not keep the upload that south signed"


def test_a_sum_that_the_coordinator_altered_counts_against_the_coordinator(
    lied: Consortium,
) -> None:
    folder = lied.run.vault / "round-0/statistics"
    path = sorted(folder.glob(HUB_FILES))[0]
    held = path.read_bytes()
    receipts = {
        one.label.site: one for one in decode_receipts((folder / "receipts.bin").read_bytes())
    }
    path.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    try:
        (part,) = [
            one
            for one in kept_parts(folder, receipts)
            if one.deviation(lied.charter, [receipts[site] for site in one.said.sites])
        ]
        found = verdicts(lied, "hub-a", "hub-b")["statistics 0"]
    finally:
        path.write_bytes(held)
    assert found.deviation == (
        f"the coordinator holds a sum other than the one {part.said.hub} signed"
    )
