import numpy as np
import pytest

from sites.plans import TrainingPlan
from sites.schema.texts import NotesSchema
from sites.tasks.text.soft_labels import fit_shares, predict_texts
from tests.sites.small_encoders import SIDES, YES_NO, table, task
from tests.sites.tiny_encoders import tiny

PLAN = TrainingPlan(local_epochs=30, batch_size=8, learning_rate=5e-3, optimizer="adam")


@pytest.mark.parametrize("schema", [SIDES, YES_NO], ids=["three", "two"])
def test_an_encoder_learns_the_probabilities_that_it_is_told(schema: NotesSchema) -> None:
    """Of two classes, too, which have one score; it does not become surer than it was told."""
    one = task(schema, "full", base=tiny("bert"), max_tokens=32)
    texts = table(schema, n=8)["text"].tolist()
    n_classes = 3 if schema is SIDES else 2
    told = np.full((len(texts), n_classes), 0.2 / (n_classes - 1))
    told[:, 0] = 0.8
    learned = fit_shares(one, texts, told, PLAN)
    assert (learned == fit_shares(one, texts, told, PLAN)).all()
    pooled = np.zeros(one.statistics.layout.size, np.int64)
    found = predict_texts(one, texts, pooled, learned)
    first = found[:, 0] if found.ndim == 2 else 1 - found
    np.testing.assert_allclose(first, 0.8, atol=0.1)
