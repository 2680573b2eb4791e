"""A part of a site's training records that is set aside to choose between models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consortium.config import RunConfig
from consortium.model.files import read_model
from consortium.site.directory import BadSite, SiteDirectory
from consortium.site.site import records_of
from consortium.site.validation_part import Use, ValidationPart, with_validation_part
from tests.scenarios.conftest import Done

KEY = "5e" * 32


def persons(over: Done, name: str) -> tuple[set[str], set[str]]:
    """Return who is trained on and who is held out at a site."""
    task = read_model(over.run.model).task
    data: Any = records_of(task, over.run.site(name), over.config)
    return set(data.training.persons.tolist()), set(data.held_out.persons.tolist())


@pytest.mark.parametrize("use", ["judged", "left-out"])
def test_nobody_who_is_held_out_is_judged_or_trained_on(heart: Done, use: Use) -> None:
    """The part is of the training persons, about a fifth of them, whole persons only."""
    name = "hungary"
    trained, held_out = persons(heart, name)
    part = ValidationPart(use=use, key=KEY)
    part.write(heart.run.site(name))
    try:
        left, shown = persons(heart, name)
    finally:
        SiteDirectory(heart.run.site(name)).validation.unlink()
    assert left < trained
    assert 0.1 < len(trained - left) / len(trained) < 0.3
    assert shown == (trained - left if use == "judged" else held_out)
    assert persons(heart, name) == (trained, held_out)


def test_records_that_are_not_trained_on_have_no_such_part(tmp_path: Path) -> None:
    class Counted:
        train_examples = train_persons = fewest_train_persons = held_out_examples = 0
        class_counts = ()

    assert isinstance(with_validation_part(Counted(), tmp_path), Counted)
    ValidationPart(use="judged", key=KEY).write(tmp_path)
    with pytest.raises(BadSite, match="no part to judge by"):
        with_validation_part(Counted(), tmp_path)


def test_the_part_is_the_same_for_every_config(heart: Done) -> None:
    """It depends on the key and the person alone."""
    other = RunConfig.parse({**heart.config.flat(), "learning-rate": 0.3})
    ValidationPart(use="judged", key=KEY).write(heart.run.site("cleveland"))
    try:
        task = read_model(heart.run.model).task
        found: list[Any] = [
            records_of(task, heart.run.site("cleveland"), one) for one in (heart.config, other)
        ]
    finally:
        SiteDirectory(heart.run.site("cleveland")).validation.unlink()
    assert np.array_equal(found[0].held_out.persons, found[1].held_out.persons)
