"""Laws of named entity recognition: the parameters that travel change, and no others."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from privacy.layout import Vector
from sites.data.source import TableFile
from sites.evaluation.entities import SENTENCE_END
from sites.plans import BadPlan, EmptySite, TrainingPlan
from sites.schema.texts import EntitySchema
from sites.task import UnfitSchema
from sites.tasks.registry import task_for
from sites.tasks.text.named_entities import EntityTask, clinical_entities_task
from sites.tasks.text.named_entities_data import EntityData
from sites.text.iob2_tags import first_break, tag_names
from tests.sites.sides import keyed
from tests.sites.small_encoders import SIDES, plan

SCHEMA = EntitySchema(name="notes", person="document", types=("Disease", "Drug"))
LEARN = TrainingPlan(batch_size=8, learning_rate=2e-2, optimizer="adam", local_epochs=8)
ONCE = replace(LEARN, local_epochs=1)
LONG = ("well", "and", "quiet") * 12


def task(travels: str = "lora") -> EntityTask:
    return clinical_entities_task(SCHEMA, plan(travels), seed=7)


def site(folder: Path, n: int = 16) -> EntityData:
    """Return sentences, some longer than a window, and one with an empty word."""
    records: list[dict[str, object]] = [{"document": "e", "tokens": ["\u200b"], "tags": ["B-Drug"]}]
    for number in range(n):
        filler = LONG[: 3 + 5 * (number % 6)]
        tokens = [*filler, "heart", "failure", "on", "aspirin"]
        tags = ["O"] * len(filler) + ["B-Disease", "I-Disease", "O", "B-Drug"]
        records.append({"document": f"d{number}", "tokens": tokens, "tags": tags})
    path = folder / "sentences.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return task().load(TableFile(path=path), sides=keyed(3))


def trained(data: EntityData, of: EntityTask, how: TrainingPlan = ONCE) -> Vector:
    pooled = of.statistics_of(data)
    start = np.zeros(of.layout.dim)
    return of.train(data, pooled, start, how, rng=np.random.default_rng(1)).update


@pytest.mark.parametrize("travels", ["lora", "head", "top-k"])
def test_training_twice_gives_the_same_bytes(tmp_path: Path, travels: str) -> None:
    data, of = site(tmp_path), task(travels)
    update = trained(data, of)
    assert update.any()
    assert update.tobytes() == trained(data, of).tobytes()


def test_entities_are_learnt(tmp_path: Path) -> None:
    """Also in sentences longer than a window: every entity that can be found is found."""
    data, of = site(tmp_path), task()
    found = of.evaluate(data, of.statistics_of(data), trained(data, of, LEARN))
    assert of.evaluation.metrics(found)["entity_f1"].value > 0.95


def test_a_zero_vector_is_the_encoder_of_the_files(tmp_path: Path) -> None:
    """Other training in between leaves no trace: the vector alone determines the model."""
    data, of = site(tmp_path), task()
    pooled, zero = of.statistics_of(data), np.zeros(of.layout.dim)
    before = of.score(data, pooled, zero)[0]
    trained(data, of)
    assert np.array_equal(before, of.score(data, pooled, zero)[0])
    assert of.parameters(zero).keys() == {field.name for field in of.layout.fields}


def test_predicted_tags_are_iob2_with_one_tag_per_word(tmp_path: Path) -> None:
    of, data = task(), site(tmp_path)
    path = tmp_path / "new.jsonl"
    path.write_text(json.dumps({"text": "Heart failure, on aspirin."}) + "\n")
    zero = np.random.default_rng(0).standard_normal(of.layout.dim) / 10
    codes = of.predict(TableFile(path=path), of.statistics_of(data), zero).astype(int)
    assert len(codes) == 7
    assert codes[-1] == SENTENCE_END
    assert first_break([tag_names(SCHEMA.types)[code] for code in codes[:-1]]) is None


def test_pooled_sites_hold_all_their_sentences(tmp_path: Path) -> None:
    data, of = site(tmp_path), task()
    together = of.pool([data, data])
    pooled = of.statistics_of(together)
    assert np.array_equal(pooled, 2 * of.statistics_of(data))
    zero = np.zeros(of.layout.dim)
    assert np.array_equal(of.evaluate(together, pooled, zero), 2 * of.evaluate(data, pooled, zero))


def test_statistics_count_the_entities(tmp_path: Path) -> None:
    data, of = site(tmp_path), task()
    described = of.statistics.describe(of.statistics_of(data))
    assert described["records"] == data.train_examples
    assert tuple(described["columns"]["entity"]["counts"]) == data.class_counts


def test_plans_that_do_not_fit_sentences_are_refused(tmp_path: Path) -> None:
    data, of = site(tmp_path), task()
    with pytest.raises(BadPlan, match="class_balance"):
        trained(data, of, TrainingPlan(class_balance="weights"))
    nobody = data.training.select(np.zeros(data.train_examples, np.bool_))
    with pytest.raises(EmptySite):
        trained(replace(data, training=nobody), of)


def test_the_task_is_built_by_its_name() -> None:
    found = task_for("clinical-entities", SCHEMA, plan(), seed=7)
    assert isinstance(found, EntityTask)
    assert found.name == "clinical-entities"
    with pytest.raises(UnfitSchema, match="whole texts"):
        clinical_entities_task(SIDES, plan(), seed=7)


def test_transformers_loads_the_exported_model_with_its_tags(tmp_path: Path) -> None:
    of = task()
    vector = np.random.default_rng(0).standard_normal(of.layout.dim) / 50
    of.write(vector, tmp_path, merged=True)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    assert model.config.id2label == dict(enumerate(tag_names(SCHEMA.types)))
    window = np.array([101, 2540, 8114, 102])
    with torch.no_grad():
        whole = model(torch.from_numpy(window)[None]).logits[0]
        with of.encoder.hold_parameters(vector):
            own = of.encoder.scores([window], None, exact=True)[0]
    torch.testing.assert_close(whole, own, atol=1e-5, rtol=1e-5)
