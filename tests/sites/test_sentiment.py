import pytest

from sites.notes import NotesTask
from sites.sentiment import MODEL, market_sentiment
from sites.task import UnfitSchema
from sites.text_schema import EntitySchema
from tests.sites.small_encoders import FINDINGS, SIDES


def test_sentiment_is_the_task_of_notes() -> None:
    assert isinstance(market_sentiment(SIDES, MODEL, seed=7), NotesTask)


@pytest.mark.parametrize("schema", [FINDINGS, EntitySchema(name="drugs", types=("Drug",))])
def test_sentiment_is_one_class_a_sentence(schema: EntitySchema) -> None:
    with pytest.raises(UnfitSchema, match="one class a sentence"):
        market_sentiment(schema, MODEL, seed=7)
