from types import ModuleType

import pytest

import sites.data.annotated.texts
import sites.data.annotations
import sites.data.fhir.maps
import sites.data.fhir.refusals
import sites.data.holdout
import sites.data.iob2_files
import sites.data.omop.maps
import sites.data.omop.refusals
import sites.data.tables
import sites.data.validation
import sites.evaluation.input_checks
import sites.plans
import sites.statistics.tables
import sites.statistics.tally
from consortium.client.mods import SiteError
from consortium.site.directory import BadSite
from consortium.site.site import OtherCharter
from consortium.wording.refusals import SITE_REFUSED, refusal_reason
from privacy.errors import ConsortiumError
from privacy.wire.flower_records import MalformedRecord
from sites.training.loop import TrainingDiverged
from strategies.coordinator.messaging import introductions, roster
from strategies.coordinator.messaging import reply_validation as replies
from strategies.rules.inputs import NonFiniteUpdate

UNKNOWN = "The recorded reason is"


def refusals(module: ModuleType, kind: type[ConsortiumError]) -> list[type[ConsortiumError]]:
    """Return the errors of a kind that a module defines, by name."""
    found = [
        one for one in vars(module).values() if isinstance(one, type) and issubclass(one, kind)
    ]
    return sorted((one for one in found if one.__module__ == module.__name__), key=repr)


BY_THE_COORDINATOR = [
    *refusals(introductions, replies.ReplyRefused),
    *refusals(roster, replies.ReplyRefused),
    *(
        kind
        for kind in refusals(replies, replies.ReplyRefused)
        if kind not in {replies.ReplyRefused, replies.SiteRefused}
    ),
    MalformedRecord,
    NonFiniteUpdate,
    sites.statistics.tally.ImpossibleTally,
]
AT_A_SITE = [
    SiteError,
    BadSite,
    OtherCharter,
    MalformedRecord,
    TrainingDiverged,
    sites.plans.EmptySite,
    sites.data.holdout.PersonOnBothSides,
    sites.data.validation.BadTable,
    sites.data.validation.MissingColumns,
    sites.data.fhir.maps.BadFhirMap,
    sites.data.fhir.refusals.BadResources,
    sites.data.omop.maps.BadOmopMap,
    sites.data.omop.refusals.BadCdmRows,
    sites.data.tables.BadTexts,
    sites.data.annotated.texts.BadAnnotations,
    sites.data.annotations.BadSentences,
    sites.data.iob2_files.BrokenIob,
    sites.data.iob2_files.UnknownSide,
    *refusals(sites.data.tables, sites.data.tables.UnreadableSource),
]


def test_there_is_something_to_tell() -> None:
    assert introductions.NotAMember in BY_THE_COORDINATOR
    assert len(AT_A_SITE) > 12


@pytest.mark.parametrize("kind", BY_THE_COORDINATOR)
def test_every_refusal_of_a_reply_is_told_in_a_sentence(kind: type[ConsortiumError]) -> None:
    assert UNKNOWN not in refusal_reason(kind.code)
    assert refusal_reason(kind.code).endswith(".")


@pytest.mark.parametrize("kind", AT_A_SITE)
def test_every_refusal_by_a_site_is_told_in_a_sentence(kind: type[ConsortiumError]) -> None:
    assert UNKNOWN not in refusal_reason(SITE_REFUSED + kind.code)


def test_an_unknown_reason_is_shown_as_its_code() -> None:
    assert refusal_reason("moon-in-the-way") == "The recorded reason is moon-in-the-way."
    assert "site-refused.tired" in refusal_reason("site-refused.tired")


def test_counts_stand_beside_the_reason() -> None:
    said = refusal_reason("site-refused.bad-table", {"columns": 2, "values": 1700})
    assert said == "Its data break the agreed schema (columns 2, values 1,700)."
