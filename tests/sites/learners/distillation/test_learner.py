import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sites.learners.distillation.answers import LEVELS, as_levels
from sites.learners.distillation.learner import Distillation
from sites.plans import BadPlan
from sites.task import UnfitSchema
from tests.sites.learners.distillation.public_texts import NUMBER, agreed
from tests.sites.small_encoders import FINDINGS, SIDES


def test_the_state_is_an_average_of_answers_whatever_the_encoders_are(tmp_path: Path) -> None:
    learner = Distillation.of(SIDES, agreed(tmp_path))
    assert learner.layout.dim == learner.contribution.tally_size == 3 * NUMBER
    assert learner.plan.digest in learner.layout.start
    sure = np.eye(3)[np.arange(NUMBER) % 3]
    unsure = np.full((NUMBER, 3), 1 / 3)
    pooled = as_levels(sure) + as_levels(unsure)
    learner.contribution.check(pooled, sites=2)
    moved = learner.move(np.zeros(learner.layout.dim), np.zeros(1, np.int64), pooled)
    np.testing.assert_allclose(moved, (sure + unsure).ravel() / 2, atol=1 / LEVELS)


def test_texts_with_several_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfitSchema, match="whole texts with one class each"):
        Distillation.of(FINDINGS, agreed(tmp_path))


def test_a_run_that_names_no_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPlan, match=r"set distil\.texts"):
        Distillation.of(SIDES, agreed(tmp_path, texts=0))


def test_the_coordinator_averages_without_a_library_of_learning() -> None:
    code = (
        "import sys, sites.learners.distillation.learner\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
