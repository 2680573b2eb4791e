from collections.abc import Mapping
from pathlib import Path

import pytest

from consortium.report.elements.headline import headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.sections.sites import absent_sentence
from consortium.wording.formatting import SPACE
from strategies.coordinator.messaging.events import SiteQuarantined
from tests.consortium.sample_run import BANKS, CLEAR_WIN, PRICE, Sample

AMBER, BIRCH, CEDAR, DUNE = BANKS


REFUSED = "site-refused.budget-exhausted"


def sentence(sample: Sample, path: Path) -> str:
    return headline(Recorded.read(sample.write(path))).replace(SPACE, " ")


def values(together: float, *alone: float, pooled: float) -> Mapping[str, float]:
    return {"federated": together, **dict(zip(BANKS, alone, strict=True)), "pooled": pooled}


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        (
            CLEAR_WIN,
            "Together, four banks predict default better (AUC 0.748) than any of them alone (best "
            "0.731); pooling all records in one place would give 0.756.",
        ),
        (
            values(0.75, 0.748, 0.70, 0.70, 0.70, pooled=0.752),
            "Together, four banks predict default better (AUC 0.750) than three of them alone; "
            "amber-bank alone (0.748) and pooling all records in one place (0.752) differ from "
            "that only within chance.",
        ),
        (
            values(0.75, 0.748, 0.749, 0.70, 0.70, pooled=0.76),
            "Together, four banks predict default better (AUC 0.750) than two of them alone; the "
            "other two alone (best 0.749) differ from that only within chance; pooling all "
            "records in one place would give 0.760.",
        ),
        (
            values(0.75, 0.748, 0.749, 0.751, 0.75, pooled=0.74),
            "Together, four banks predict default (AUC 0.750) no better than alone; all alone "
            "(best 0.751) differ from that only within chance; pooling all records in one place "
            "would give 0.740.",
        ),
        (
            values(0.75, 0.78, 0.749, 0.70, 0.70, pooled=0.79),
            "amber-bank alone predicts default better (0.780) than four banks together (AUC "
            "0.750); pooling all records in one place would give 0.790.",
        ),
    ],
)
def test_the_headline_claims_what_the_intervals_allow_and_no_more(
    measured: Mapping[str, float], said: str, tmp_path: Path
) -> None:
    assert sentence(Sample(values=measured), tmp_path) == said


def test_lower_is_better_where_it_is(tmp_path: Path) -> None:
    measured = values(35_000, 40_000, 41_000, 42_000, 43_000, pooled=33_000)
    said = sentence(Sample(label=PRICE, values=measured, margin=500), tmp_path)
    assert said == (
        "Together, four banks predict sale price better (root mean squared error 35,000 US$) than "
        "any of them alone (best 40,000 US$); pooling all records in one place would give 33,000 "
        "US$."
    )


def test_without_a_comparison_nothing_is_claimed(tmp_path: Path) -> None:
    said = sentence(Sample(), tmp_path)
    assert said.startswith("Together, four banks trained a model that predicts default (AUC 0.")
    assert "better" not in said


@pytest.mark.parametrize(
    ("completed", "said"),
    [
        (0, "The run stopped before its first round was complete."),
        (2, "The run stopped after 2 of 4 rounds."),
        (4, "The run stopped after its 4 rounds, before the final evaluation."),
    ],
)
def test_a_failed_run_says_where_it_stopped(completed: int, said: str, tmp_path: Path) -> None:
    failed = Sample(completed=completed, error="quorum-not-reached: too few")
    assert sentence(failed, tmp_path) == said


@pytest.mark.parametrize("odd", ["", "silent"])
def test_one_reason_of_all_members_is_in_the_headline_of_a_run_that_stopped(
    odd: str, tmp_path: Path
) -> None:
    """Nobody takes a spent budget for an outage."""
    codes = [REFUSED, REFUSED, REFUSED, odd or REFUSED]
    sample = Sample(
        absent=BANKS,
        completed=0,
        error="quorum-not-reached: too few",
        quarantined=[
            SiteQuarantined(server_round=0, site=bank, code=code)
            for bank, code in zip(BANKS, codes, strict=True)
        ],
    )
    began = "The run stopped before its first round was complete"
    reason = (
        ", because all banks were left out for one reason: It refused: the run would spend more "
        "privacy than is left"
    )
    assert sentence(sample, tmp_path) == f"{began}{'' if odd else reason}."


def test_a_report_begins_with_who_is_not_in_the_run_and_why(tmp_path: Path) -> None:
    left_out = SiteQuarantined(server_round=0, site=DUNE, code="site-refused.bad-table")
    sample = Sample(absent=(CEDAR, DUNE), quarantined=[left_out])
    assert absent_sentence(Recorded.read(sample.write(tmp_path))) == (
        f"Not in the run: {CEDAR} (never-came: Nothing came from it before the run began); {DUNE} "
        "(site-refused.bad-table: Its data break the agreed schema)."
    )
    whole = Sample().write(tmp_path / "whole")
    assert absent_sentence(Recorded.read(whole)) == ""
