import numpy as np
import pytest

from consortium.wording.metric_glossary import meaning_of
from sites.evaluation.contract import evaluation_for
from sites.schema.tables import ClassLabel, NumberLabel
from sites.schema.texts import EntitySchema
from tests.consortium.sample_run import DEFAULT, PRICE, SEVERITY, Sample


@pytest.mark.parametrize("label", [DEFAULT, SEVERITY, PRICE], ids=lambda label: label.column)
def test_every_figure_of_every_evaluation_is_explained(label: ClassLabel | NumberLabel) -> None:
    evaluation = evaluation_for(Sample(label=label).schema)
    nothing = evaluation.tally(np.zeros((0, 3) if label == SEVERITY else 0), np.zeros(0, np.int64))
    names = [*evaluation.metrics(nothing), *evaluation.undefined_reasons(nothing)]
    figures = [name for name in names if not name.startswith("class ")]
    assert len(figures) >= 6
    for name in figures:
        assert meaning_of(name).says
        assert meaning_of(name).title != name


def test_every_figure_of_entities_is_explained() -> None:
    evaluation = evaluation_for(EntitySchema(name="notes", types=("Drug",)))
    nothing = evaluation.tally(np.zeros(0, np.int64), np.zeros(0, np.int64))
    figures = [name for name in evaluation.undefined_reasons(nothing) if " " not in name]
    assert {"entity_f1", "token_accuracy", "outside_share"} < {*figures}
    for name in figures:
        assert meaning_of(name).says


def test_a_share_that_no_model_changes_is_not_called_better() -> None:
    assert meaning_of("token_accuracy").explained.endswith("; higher is better.")
    assert "better" not in meaning_of("outside_share").explained


def test_a_figure_that_nobody_explained_keeps_its_name() -> None:
    assert meaning_of("f_beta").title == "f beta"
