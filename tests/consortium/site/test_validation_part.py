"""A part of a site's training records that is set aside to choose between models."""

from pathlib import Path
from typing import Any

import pytest

from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from consortium.site.directory import BadSite
from consortium.site.site import records_of
from consortium.site.validation_part import Use, ValidationPart, with_validation_part
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named
from sites.tasks.registry import task_for

KEY = "5e" * 32


HEART = scenario_named("heart-diagnosis")
CONFIG = HEART.config_with({})


@pytest.fixture
def hungary(tmp_path: Path) -> Path:
    """A site with its records."""
    run = RunDirectory(tmp_path)
    stage(run, HEART)
    return run.site("hungary")


def persons(site: Path, config: RunConfig = CONFIG) -> tuple[set[str], set[str]]:
    """Return who is trained on and who is held out at a site."""
    task = task_for(HEART.task, HEART.table, config.table_model, seed=config.seed)
    data: Any = records_of(task, site, config)
    return set(data.training.persons.tolist()), set(data.held_out.persons.tolist())


@pytest.mark.parametrize("use", ["judged", "left-out"])
def test_nobody_who_is_held_out_is_judged_or_trained_on(hungary: Path, use: Use) -> None:
    """The part is of the training persons, about a fifth of them, the same for every config."""
    trained, held_out = persons(hungary)
    ValidationPart(use=use, key=KEY).write(hungary)
    left, shown = persons(hungary)
    assert left < trained
    assert 0.1 < len(trained - left) / len(trained) < 0.3
    assert shown == (trained - left if use == "judged" else held_out)
    other = RunConfig.parse({**CONFIG.flat(), "learning-rate": 0.3})
    assert persons(hungary, other) == (left, shown)


def test_records_that_are_not_trained_on_have_no_such_part(tmp_path: Path) -> None:
    class Counted:
        train_examples = train_persons = fewest_train_persons = held_out_examples = 0
        class_counts = ()

    assert isinstance(with_validation_part(Counted(), tmp_path), Counted)
    ValidationPart(use="judged", key=KEY).write(tmp_path)
    with pytest.raises(BadSite, match="no part to judge by"):
        with_validation_part(Counted(), tmp_path)
