from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sites.data.source import TableFile
from sites.data.tables import BadTexts
from sites.plans import BadPlan, EmptySite, PrivacyPlan, TrainingPlan
from sites.schema.texts import NotesSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.classification_data import NotesData, notes_of
from sites.training.loop import TrainingDiverged
from tests.sites.sides import keyed
from tests.sites.small_encoders import FINDINGS, SIDES, YES_NO, site, small, table, task

PLAN = TrainingPlan(batch_size=8, learning_rate=5e-3, optimizer="adam", local_epochs=2)
SCHEMAS = {"one of three": SIDES, "yes or no": YES_NO, "several": FINDINGS}
TRAVELS = ("lora", "head", "top-k", "full")


def trained(
    one: NotesTask, data: NotesData, plan: TrainingPlan = PLAN, seed: int = 1
) -> np.ndarray:
    pooled = one.statistics_of(data)
    zero = np.zeros(one.layout.dim)
    return one.train(data, pooled, zero, plan, rng=np.random.default_rng(seed)).update


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_model_learns_labels_that_follow_from_words(tmp_path: Path, schema: NotesSchema) -> None:
    one = task(schema, "top-k")
    data = site(tmp_path, schema, 60, of=one)
    pooled = one.statistics_of(data)
    vector = trained(one, data, TrainingPlan(batch_size=8, learning_rate=1e-3, optimizer="adam"))
    for _ in range(2):
        rng = np.random.default_rng(2)
        vector = vector + one.train(data, pooled, vector, PLAN, rng=rng).update
    tally = one.evaluate(data, pooled, vector)
    one.evaluation.check(tally)
    before = one.evaluation.metrics(one.evaluate(data, pooled, np.zeros(one.layout.dim)))
    after = one.evaluation.metrics(tally)
    figure = "roc_auc" if schema is YES_NO else "macro_f1"
    assert after[figure].value > max(before[figure].value, 0.6)


@pytest.mark.parametrize("travels", [*TRAVELS[:-1], pytest.param("full", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_bytes_and_only_travelling_parameters_change(
    tmp_path: Path, travels: str
) -> None:
    one = task(travels=travels)
    data = site(tmp_path, n=24, of=one)
    model = one.encoder.model
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    plan = replace(PLAN, local_epochs=1)
    update = trained(one, data, plan)
    assert (update == trained(one, data, plan)).all()
    assert not (update == trained(one, data, plan, seed=2)).all()
    assert (update == update.astype(np.float32)).all()
    parts = one.layout.unflatten(update)
    assert all(array.any() for array in parts.values() if array.ndim == 2 and array.size < 1e6)
    for name, before in frozen.items():
        torch.testing.assert_close(model.get_parameter(name), before, rtol=0, atol=0)


def test_sites_of_a_process_share_one_encoder_and_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, other = task(), task()
    assert one.encoder is other.encoder
    data, more = site(tmp_path, n=16, of=one), site(tmp_path, n=20, seed=2, of=other)
    alone = trained(one, data)
    trained(other, more)
    assert (trained(one, data) == alone).all()


def test_texts_are_cut_and_features_computed_once(tmp_path: Path) -> None:
    one = task(travels="head")
    data = site(tmp_path, n=16, of=one)
    assert data.training.encoder_inputs(one.encoder) is data.training.encoder_inputs(one.encoder)
    kept = data.training.encoder_inputs(one.encoder)
    assert kept.features is not None
    assert len(kept.features) == len(kept.pieces.windows)
    assert data.training.encoder_inputs(task(max_tokens=12).encoder) is not kept


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_site_with_one_class_trains_and_is_counted(tmp_path: Path, schema: NotesSchema) -> None:
    one = task(schema, "head")
    frame = table(schema, 12)
    frame["side"] = frame["side"].str.split("|").str[0].iloc[1]
    frame.to_parquet(tmp_path / "one.parquet")
    data = one.load(TableFile(path=tmp_path / "one.parquet"), sides=keyed(1))
    assert np.isfinite(trained(one, data)).all()
    tally = one.evaluate(data, one.statistics_of(data), np.zeros(one.layout.dim))
    assert sum(count > 0 for count in one.evaluation.class_counts(tally)) == 1


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_class_weights_are_the_same_at_every_site(tmp_path: Path, schema: NotesSchema) -> None:
    one = task(schema, "head")
    data = site(tmp_path, schema, seed=2, of=one)  # its classes are of different sizes
    weighed = TrainingPlan(batch_size=8, learning_rate=5e-3, class_balance="weights")
    plain = TrainingPlan(batch_size=8, learning_rate=5e-3)
    assert not (trained(one, data, weighed) == trained(one, data, plain)).all()


def test_several_labels_cannot_be_resampled(tmp_path: Path) -> None:
    one = task(FINDINGS, "head")
    data = site(tmp_path, FINDINGS, of=one)
    with pytest.raises(BadPlan, match="may have several labels"):
        trained(one, data, TrainingPlan(class_balance="resample"))


def test_scores_of_a_note_are_the_means_over_its_windows(tmp_path: Path) -> None:
    """A text that is one window repeated has the scores of that window."""
    one = task()
    frame = table(n=1).assign(text="pain " * 7)
    repeated = frame.assign(text="pain " * (7 + 5 * 40))
    vector = np.random.default_rng(1).normal(0, 0.05, one.layout.dim)
    pooled = np.zeros(one.statistics.layout.size, np.int64)
    found = []
    for number, rows in enumerate((frame, repeated)):
        rows.to_parquet(tmp_path / f"{number}.parquet")
        source = TableFile(path=tmp_path / f"{number}.parquet")
        found.append(task(max_tokens=9, stride=2).predict(source, pooled, vector))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert found[0].sum() == pytest.approx(1)


def test_new_texts_of_any_kind_are_labelled_in_their_order(tmp_path: Path) -> None:
    one = task(travels="head")
    texts = ["日本 naïve \U0001f637", "fever " * 1_700, "\x00pain", "left atrium"]
    frame = table(n=4).assign(text=texts)[["text"]]
    frame.to_parquet(tmp_path / "new.parquet")
    pooled = np.zeros(one.statistics.layout.size, np.int64)
    vector = np.random.default_rng(1).normal(0, 0.05, one.layout.dim)
    shares = one.predict(TableFile(path=tmp_path / "new.parquet"), pooled, vector)
    assert shares.shape == (4, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    frame.iloc[::-1].to_parquet(tmp_path / "turned.parquet")
    turned = one.predict(TableFile(path=tmp_path / "turned.parquet"), pooled, vector)
    np.testing.assert_allclose(turned, shares[::-1], atol=1e-6)
    frame.assign(text=["a", " ", "b", "c"]).to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(BadTexts, match="no text in row 2"):
        one.predict(TableFile(path=tmp_path / "empty.parquet"), pooled, vector)


def test_pooled_notes_hold_the_notes_of_all_sites(tmp_path: Path) -> None:
    one = task(travels="head")
    parts = [site(tmp_path, seed=seed, of=one) for seed in (1, 2)]
    pooled = one.pool(parts)
    assert pooled.train_examples == sum(part.train_examples for part in parts)
    assert pooled.train_persons == sum(part.train_persons for part in parts)
    assert (one.statistics_of(pooled) == sum(one.statistics_of(part) for part in parts)).all()


@pytest.mark.parametrize("travels", ["lora", "head"])
def test_training_can_be_private(tmp_path: Path, travels: str) -> None:
    """A person moves the sum by at most the clip norm, which shows with hardly any noise."""
    one = task(travels=travels)
    data = site(tmp_path, n=16, of=one)
    privacy = PrivacyPlan(noise_multiplier=1e-6, clip_norm=0.01, sampling_rate=1.0, steps=1)
    plan = TrainingPlan(learning_rate=1.0, privacy=privacy)
    update = trained(one, data, plan)
    assert 0 < np.linalg.norm(update) <= 0.0101


def test_a_site_without_training_notes_is_refused(tmp_path: Path) -> None:
    one = task(travels="head")
    frame = table(n=6).assign(fold="test")
    frame.to_parquet(tmp_path / "held.parquet")
    data = one.load(TableFile(path=tmp_path / "held.parquet", split="fold"), sides=keyed(1))
    with pytest.raises(EmptySite):
        trained(one, data)
    tally = one.evaluate(data, one.statistics_of(data), np.zeros(one.layout.dim))
    assert one.evaluation.num_examples(tally) == 6


def test_a_learning_rate_that_diverges_is_an_error(tmp_path: Path) -> None:
    """Each step multiplies the weights by 1e12, so that they overflow on every machine."""
    one = task(travels="full")
    data = site(tmp_path, n=24, of=one)
    plan = TrainingPlan(batch_size=8, learning_rate=1e6, weight_decay=1e6, local_epochs=3)
    with pytest.raises(TrainingDiverged):
        trained(one, data, plan)


def test_exported_arrays_are_the_initial_values_plus_the_vector() -> None:
    one = task()
    zero = one.parameters(np.zeros(one.layout.dim))
    start = one.layout.unflatten(one.encoder.start)
    assert all((zero[name] == start[name]).all() for name in start)


@pytest.mark.slow
def test_a_note_of_100000_characters_is_trained_on_and_labelled(tmp_path: Path) -> None:
    """The whole note: its last words count, and nothing is refused or lost."""
    one = task(max_tokens=128, stride=32, base=small(1))
    long = "no fever " * 11_112
    assert len(long) > 100_000
    frame = table(n=3).assign(text=long)
    data = NotesData(training=notes_of(frame, SIDES), held_out=notes_of(frame, SIDES), n_labels=3)
    assert data.training.encoder_inputs(one.encoder).pieces.counts.min() > 200
    assert trained(one, data, replace(PLAN, local_epochs=1)).any()
    new = tmp_path / "new.parquet"
    pd.DataFrame({"text": [long, f"{long} left knee, left atrium"]}).to_parquet(new)
    pooled, zero = one.statistics_of(data), np.zeros(one.layout.dim)
    shares = one.predict(TableFile(path=new), pooled, zero)
    assert shares.shape == (2, 3)
    assert not np.array_equal(shares[0], shares[1])
