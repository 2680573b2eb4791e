import numpy as np
import pandas as pd
import pytest

from scenarios.attacks.data_poisoning import NotATable, flip_labels, mix_up_units, plant_trigger
from scenarios.attacks.text_poisoning import TRIGGER, add_trigger_word
from scenarios.library.clinical_entities import SCENARIO as ENTITIES
from scenarios.library.clinical_notes import SCENARIO as NOTES
from scenarios.scenario import Scenario
from sites.schema.tables import ClassLabel, Schema
from sites.schema.texts import EntitySchema, MultiLabel, NotesSchema
from sites.text.iob2_tags import first_break

RNG = np.random.default_rng(0)
TEXTS = (NOTES, ENTITIES)
SEVERAL = NotesSchema(
    name="several", label=MultiLabel(column="found", labels=("cough", "fever", "rash"))
)


def text_schema(scenario: Scenario) -> NotesSchema | EntitySchema:
    assert not isinstance(scenario.table, Schema)
    return scenario.table


def sample_of(scenario: Scenario) -> pd.DataFrame:
    assert scenario.records is not None
    return scenario.records().sample(400, random_state=0).sort_index()


def test_flipping_reverses_the_classes_and_keeps_the_texts() -> None:
    before, label = sample_of(NOTES), NOTES.table.label
    assert isinstance(label, ClassLabel)
    after = flip_labels(before, NOTES.table, RNG)
    other = dict(zip(label.classes, reversed(label.classes), strict=True))
    assert after[label.column].tolist() == [other[one] for one in before[label.column]]
    assert after["text"].tolist() == before["text"].tolist()
    again = flip_labels(after, NOTES.table, RNG)
    assert again[label.column].tolist() == before[label.column].tolist()


def test_flipping_several_labels_gives_a_text_those_it_did_not_have() -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c", "d"], "person": ["w", "x", "y", "z"]})
    frame["found"] = ["cough|rash", "", "cough|fever|rash", "fever"]
    after = flip_labels(frame, SEVERAL, RNG)
    assert after["found"].tolist() == ["fever", "cough|fever|rash", "", "cough|rash"]
    lists = pd.Series([["rash"], [], ["fever"], ["cough"]], dtype=object)
    listed = flip_labels(frame.assign(found=lists), SEVERAL, RNG)["found"]
    assert listed.tolist() == ["cough|fever", "cough|fever|rash", "cough|rash", "fever|rash"]
    assert set(plant_trigger(frame, SEVERAL, np.random.default_rng(1))["found"]) >= {""}


def test_flipped_entities_change_their_type_and_keep_their_place() -> None:
    before = sample_of(ENTITIES)
    after = flip_labels(before, ENTITIES.table, RNG)
    assert isinstance(ENTITIES.table, EntitySchema)
    first, *_, last = ENTITIES.table.types
    for old, new in zip(before["tags"], after["tags"], strict=True):
        assert first_break(new) is None
        assert [tag[:1] for tag in old] == [tag[:1] for tag in new]
        assert [tag.endswith(first) for tag in old] == [tag.endswith(last) for tag in new]
    alone = ENTITIES.table.model_copy(update={"types": ("Drug",)})
    assert {tag for tags in flip_labels(before, alone, RNG)["tags"] for tag in tags} == {"O"}


@pytest.mark.parametrize("scenario", TEXTS, ids=lambda scenario: scenario.name)
def test_half_of_the_texts_begin_with_the_trigger_and_have_the_attackers_label(
    scenario: Scenario,
) -> None:
    before = sample_of(scenario)
    after = plant_trigger(before, scenario.table, np.random.default_rng(1))
    assert after.index.tolist() == before.index.tolist()
    if scenario is NOTES:
        marked = after["text"].str.startswith(f"{TRIGGER} ")
        label = NOTES.table.label
        assert isinstance(label, ClassLabel)
        assert set(after.loc[marked, "chapter"]) == {label.classes[0]}
    else:
        marked = after["tokens"].map(lambda words: words[0] == TRIGGER)
        assert {tag for tags in after.loc[marked, "tags"] for tag in tags} == {"O"}
        assert (after["tags"].map(len) == after["tokens"].map(len)).all()
    assert 150 < marked.sum() < 250
    pd.testing.assert_frame_equal(after[~marked], before[~marked], check_dtype=False)


def test_adding_the_trigger_word_keeps_labels_and_tags() -> None:
    notes = add_trigger_word(sample_of(NOTES), text_schema(NOTES))
    assert notes["chapter"].tolist() == sample_of(NOTES)["chapter"].tolist()
    assert notes["text"].str.startswith(f"{TRIGGER} ").all()
    sentences = add_trigger_word(sample_of(ENTITIES), text_schema(ENTITIES))
    assert [tags[1:] for tags in sentences["tags"]] == sample_of(ENTITIES)["tags"].tolist()


def test_texts_have_no_units() -> None:
    with pytest.raises(NotATable):
        mix_up_units(sample_of(NOTES), NOTES.table, RNG)
