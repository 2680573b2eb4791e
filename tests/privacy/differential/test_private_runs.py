import sqlite3
from pathlib import Path

import pytest

from privacy.differential.private_runs import (
    RUNS_KEPT,
    CampaignsUnavailable,
    PrivateRuns,
    Round,
    TrainedMeanwhile,
)

MADE_BY_0_1_0 = (
    "CREATE TABLE campaigns"
    " (id INTEGER PRIMARY KEY, run TEXT NOT NULL, part INTEGER NOT NULL,"
    " noise_multiplier REAL NOT NULL, UNIQUE (run, part)) STRICT",
    "CREATE TABLE rounds"
    " (campaign INTEGER NOT NULL, server_round INTEGER NOT NULL, state TEXT NOT NULL, answer BLOB,"
    " PRIMARY KEY (campaign, server_round)) STRICT",
)
FIRST = Round(run="r", number=1, state="s")


@pytest.fixture
def campaigns(tmp_path: Path) -> PrivateRuns:
    return PrivateRuns(tmp_path / "privacy")


def test_a_round_is_kept_before_it_is_answered_and_answered_again(campaigns: PrivateRuns) -> None:
    assert campaigns.kept_answer(FIRST) is None
    assert campaigns.campaign_with_room(FIRST) is None
    campaign = campaigns.begin_campaign("r", part=1, noise_multiplier=1.25)
    assert campaigns.campaign_with_room(FIRST) == campaign
    assert campaigns.keep_answer(campaign, FIRST, b"update") == b"update"
    assert campaigns.kept_answer(FIRST) == b"update"


def test_everything_survives_the_process(tmp_path: Path) -> None:
    first = PrivateRuns(tmp_path)
    campaign = first.begin_campaign("r", part=1, noise_multiplier=1.25)
    first.keep_answer(campaign, FIRST, b"update")
    first.close()
    again = PrivateRuns(tmp_path)
    assert again.kept_answer(FIRST) == b"update"
    assert again.campaign_with_room(Round(run="r", number=2, state="t")) == campaign


def test_a_round_from_another_state_has_no_room_in_its_campaign(campaigns: PrivateRuns) -> None:
    campaigns.keep_answer(
        campaigns.begin_campaign("r", part=1, noise_multiplier=1.0), FIRST, b"update"
    )
    other = Round(run="r", number=1, state="other")
    assert campaigns.kept_answer(other) is None
    assert campaigns.campaign_with_room(other) is None
    again = campaigns.begin_campaign("r", part=2, noise_multiplier=1.0)
    assert again == campaigns.last_campaign("r")
    assert campaigns.campaign_with_room(other) == again
    campaigns.keep_answer(again, other, b"second")
    assert campaigns.kept_answer(other) == b"second"
    assert campaigns.kept_answer(FIRST) == b"update"


def test_another_run_shares_nothing(campaigns: PrivateRuns) -> None:
    campaigns.keep_answer(
        campaigns.begin_campaign("r", part=1, noise_multiplier=1.0), FIRST, b"update"
    )
    other = Round(run="q", number=1, state="s")
    assert campaigns.kept_answer(other) is None
    assert campaigns.campaign_with_room(other) is None


def test_a_campaign_is_opened_once(campaigns: PrivateRuns) -> None:
    first = campaigns.begin_campaign("r", part=1, noise_multiplier=1.5)
    assert campaigns.begin_campaign("r", part=1, noise_multiplier=9.0) == first
    assert campaigns.last_campaign("q") is None


def test_only_the_last_answer_of_a_campaign_takes_room(campaigns: PrivateRuns) -> None:
    campaign = campaigns.begin_campaign("r", part=1, noise_multiplier=1.0)
    campaigns.keep_answer(campaign, FIRST, b"1")
    second = Round(run="r", number=2, state="t")
    campaigns.keep_answer(campaign, second, b"2")
    assert campaigns.kept_answer(second) == b"2"
    assert campaigns.kept_answer(FIRST) is None
    assert campaigns.campaign_with_room(FIRST) is None


def test_an_answer_that_version_0_1_0_kept_is_found_until_the_next_round(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "campaigns.sqlite")
    for statement in MADE_BY_0_1_0:
        old.execute(statement)
    old.execute("INSERT INTO campaigns VALUES (4, 'r', 1, 1.25)")
    old.execute("INSERT INTO rounds VALUES (4, 1, 's', ?)", (b"update",))
    old.commit()
    old.close()
    tmp_path.chmod(0o700)
    campaigns = PrivateRuns(tmp_path)
    campaign = campaigns.last_campaign("r")
    assert campaign is not None
    assert campaigns.kept_answer(FIRST) == b"update"
    assert campaigns.keep_answer(campaign, FIRST, b"anew") == b"update"
    second = Round(run="r", number=2, state="t")
    assert campaigns.keep_answer(campaign, second, b"2") == b"2"
    assert campaigns.kept_answer(FIRST) is None
    assert campaigns.campaign_with_room(FIRST) is None
    with pytest.raises(TrainedMeanwhile):
        campaigns.keep_answer(campaign, FIRST, b"anew")


def test_answers_of_runs_that_failed_go_when_later_ones_begin(
    campaigns: PrivateRuns, tmp_path: Path
) -> None:
    """That a round was trained stays: it is not trained again for nothing."""
    asked = [Round(run=f"run-{number}", number=1, state="s") for number in range(5)]
    for one in asked:
        campaign = campaigns.begin_campaign(one.run, part=1, noise_multiplier=1.0)
        campaigns.keep_answer(campaign, one, bytes(600_000))
    kept = [campaigns.kept_answer(one) is not None for one in asked]
    assert kept == [False] * (5 - RUNS_KEPT) + [True] * RUNS_KEPT
    assert len(list((tmp_path / "privacy" / "kept").iterdir())) == RUNS_KEPT
    assert [campaigns.campaign_with_room(one) for one in asked] == [None] * 5


def test_of_two_processes_the_first_answer_is_kept(tmp_path: Path) -> None:
    fast, slow = PrivateRuns(tmp_path), PrivateRuns(tmp_path)
    campaign = fast.begin_campaign("r", part=1, noise_multiplier=1.0)
    assert slow.campaign_with_room(FIRST) == campaign
    fast.keep_answer(campaign, FIRST, b"fast")
    assert slow.keep_answer(campaign, FIRST, b"slow") == b"fast"
    with pytest.raises(TrainedMeanwhile):
        slow.keep_answer(campaign, Round(run="r", number=1, state="other"), b"slow")
    assert slow.kept_answer(FIRST) == b"fast"


def test_without_its_database_a_site_does_not_train(tmp_path: Path) -> None:
    (tmp_path / "campaigns.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(CampaignsUnavailable):
        PrivateRuns(tmp_path)


def test_what_is_kept_is_on_the_disk(campaigns: PrivateRuns, tmp_path: Path) -> None:
    campaign = campaigns.begin_campaign("r", part=1, noise_multiplier=1.0)
    campaigns.keep_answer(campaign, FIRST, b"update")
    other = sqlite3.connect(tmp_path / "privacy" / "campaigns.sqlite")
    assert other.execute("SELECT data FROM small").fetchall() == [(b"update",)]
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    assert (tmp_path / "privacy").stat().st_mode & 0o077 == 0
