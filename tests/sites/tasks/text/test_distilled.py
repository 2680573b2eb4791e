from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sites.data.source import TableFile
from sites.learners.distillation.agreed_texts import OtherTexts
from sites.learners.distillation.answers import LEVELS
from sites.learners.distillation.learner import Distillation
from sites.plans import BadPlan, PrivacyPlan, TrainingPlan
from sites.tasks.text.distilled import DistilledTask
from tests.sites.learners.distillation.public_texts import NUMBER, agreed
from tests.sites.sides import keyed
from tests.sites.small_encoders import SIDES, site, table, task
from tests.sites.tiny_encoders import tiny

PLAN = TrainingPlan(local_epochs=2, batch_size=8, learning_rate=5e-3, optimizer="adam")


def made(folder: Path, **changes: object) -> DistilledTask:
    found = Distillation.of(SIDES, agreed(folder)).at_site(task(**changes))  # type: ignore[arg-type]
    assert isinstance(found, DistilledTask)
    return found


def true_answers() -> np.ndarray:
    """Return the true class of each agreed text, as a state."""
    sides = table(n=NUMBER, seed=77)["side"]
    names = ("left", "mid", "right")
    return np.eye(3)[[names.index(side) for side in sides]].ravel()


@pytest.mark.parametrize("encoder", ["bert", "gpt2"])
def test_a_site_answers_each_text_whatever_its_encoder(encoder: str, tmp_path: Path) -> None:
    one = made(tmp_path, base=tiny(encoder), max_tokens=32)
    data = site(tmp_path, of=one.base)
    pooled, zero = one.statistics_of(data), np.zeros(one.layout.dim)
    trained = one.train(data, pooled, zero, PLAN, rng=np.random.default_rng(1))
    assert (trained.summed.reshape(NUMBER, 3).sum(axis=1) == LEVELS).all()
    assert trained.num_examples == data.train_examples
    assert not trained.update.size
    again = one.train(data, pooled, zero, PLAN, rng=np.random.default_rng(1))
    assert (trained.summed == again.summed).all()


def test_an_encoder_learns_from_answers_without_any_record(tmp_path: Path) -> None:
    """From true answers to 24 texts it reads other texts better than from none."""
    one = made(tmp_path)
    data = one.load(_source(tmp_path), sides=keyed(3))
    pooled = one.statistics_of(data)
    before = one.evaluation.metrics(one.evaluate(data, pooled, np.zeros(one.layout.dim)))
    after = one.evaluation.metrics(one.evaluate(data, pooled, true_answers()))
    assert after["accuracy"].value > before["accuracy"].value + 0.2
    assert (one.student(true_answers()) == one.student(true_answers().copy())).all()


def test_what_is_exported_is_the_encoder_that_learned(tmp_path: Path) -> None:
    one = made(tmp_path, base=tiny("bert"), max_tokens=32)
    state = true_answers()
    assert one.parameters(state)["answers"].shape == (NUMBER, 3)
    (tmp_path / "model").mkdir()
    one.write(state, tmp_path / "model", merged=True)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_answers_have_no_noise(tmp_path: Path) -> None:
    one = made(tmp_path)
    data = site(tmp_path, of=one.base)
    privacy = PrivacyPlan(noise_multiplier=1.0, clip_norm=1.0, sampling_rate=0.5, steps=1)
    with pytest.raises(BadPlan, match=r"set dp\.unit to off"):
        one.train(
            data,
            one.statistics_of(data),
            np.zeros(one.layout.dim),
            replace(PLAN, privacy=privacy),
            rng=np.random.default_rng(1),
        )


def test_a_site_without_the_agreed_texts_refuses_when_it_reads_its_records(tmp_path: Path) -> None:
    one = made(tmp_path)
    source = _source(tmp_path)
    Path(one.plan.file).unlink()
    with pytest.raises(OtherTexts):
        one.load(source, sides=keyed(3))


def _source(folder: Path) -> TableFile:
    table(n=60, seed=5).to_parquet(folder / "notes.parquet")
    return TableFile(path=folder / "notes.parquet")
