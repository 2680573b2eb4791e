"""No message leads round the seal, and what fails at a site leaves it as a code."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from privacy.wire import messages
from sites.tasks.tabular.task import TabularTask
from tests.small_consortium import Moment, Place, configured, refusal

ROUND = 3


def in_the_clear(place: Place, moment: Moment) -> RecordDict:
    """Return the message of a round in the clear."""
    site = place.site
    standing = place.session(moment.request).standing(moment.request)
    return messages.position(
        messages.Position(
            charter=site.charter.fingerprint,
            run="run-1",
            server_round=ROUND,
            state=np.zeros(site.task.layout.dim),
            statistics=standing.state.statistics,
        )
    )


@pytest.mark.parametrize("kind", ["train.default", "evaluate.default"])
def test_another_name_of_a_message_does_not_lead_round_the_seal(
    place: Place, moment: Moment, trainings: list[int], kind: str
) -> None:
    """Flower takes `train.default` for `train`: the app behind it would answer in the clear."""
    assert place.refusal(kind, in_the_clear(place, moment)) == "question-not-allowed"
    assert not trainings


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_message_in_the_clear_is_no_message_of_an_encrypted_run(
    place: Place, moment: Moment, trainings: list[int], kind: str
) -> None:
    assert place.refusal(kind, in_the_clear(place, moment)) == "malformed-record"
    assert not trainings


@pytest.mark.parametrize("kind", ["train", "evaluate", "query.statistics", "query.hello"])
def test_a_coordinator_cannot_ask_for_a_run_in_the_clear(
    place: Place, moment: Moment, trainings: list[int], kind: str
) -> None:
    """The charter says that every run is encrypted."""
    content = in_the_clear(place, moment)
    clear = Place(place.directory, configured({"aggregation": "clear"}))
    assert clear.refusal(kind, content) == "outside-charter"
    assert not trainings


@pytest.mark.parametrize("first_scale", [1e-12, 1e6])
def test_a_coordinator_cannot_ask_for_a_scale_that_silences_or_blinds(
    place: Place, moment: Moment, first_scale: float
) -> None:
    absurd = Place(place.directory, configured({"first-scale": first_scale}))
    assert absurd.refusal("train", moment.asked.content) == "outside-charter"


def test_what_nobody_foresaw_leaves_as_a_code_and_stays_in_the_sites_log(
    place: Place, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flower would send text and traceback; either may quote a record."""

    def fails(*_given: object, **_named: object) -> None:
        raise KeyError("patient 17")

    monkeypatch.setattr(TabularTask, "train", fails)
    answer = place.ask("train", moment.asked.content)
    assert refusal(answer) == "site-error"
    assert "patient 17" not in repr(answer)
    assert "patient 17" in (place.directory / "site.log").read_text()


def test_a_site_that_cannot_write_its_log_still_says_nothing(place: Place, moment: Moment) -> None:
    (place.directory / "site.log").mkdir()
    assert place.refusal("train.default", moment.asked.content) == "question-not-allowed"


def test_a_place_that_is_no_site_says_so(tmp_path: Path, moment: Moment) -> None:
    assert Place(tmp_path, moment.config).refusal("train", moment.asked.content) == "bad-site"
