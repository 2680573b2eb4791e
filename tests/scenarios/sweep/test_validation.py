"""Whom trials are judged on is left out, in private runs, of what is trained in the end."""

from pathlib import Path

from consortium.run.directory import RunDirectory
from consortium.run.records import read_record
from consortium.site.directory import SiteDirectory
from consortium.site.validation_part import ValidationPart
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named
from scenarios.sweep.validation import judge_within_training, leave_validation_out

HEART = scenario_named("heart-diagnosis")


def parts(run: RunDirectory) -> list[ValidationPart]:
    return [
        read_record(SiteDirectory(run.site(name)).validation, ValidationPart)
        for name in HEART.sites
    ]


def test_the_same_persons_are_judged_and_left_out_and_others_with_another_seed(
    tmp_path: Path,
) -> None:
    run = RunDirectory(tmp_path)
    stage(run, HEART)
    judge_within_training(run, seed=3)
    judged = parts(run)
    leave_validation_out(run, seed=3)
    left = parts(run)
    assert ({one.use for one in judged}, {one.use for one in left}) == ({"judged"}, {"left-out"})
    assert [one.key for one in judged] == [one.key for one in left]
    leave_validation_out(run, seed=4)
    keys = {one.key for one in (*judged, *parts(run))}
    assert len(keys) == 2 * len(HEART.sites)
