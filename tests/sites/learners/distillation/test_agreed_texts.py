from dataclasses import replace
from pathlib import Path

import pytest

from sites.learners.distillation.agreed_texts import OtherTexts, agreed_texts
from tests.sites.learners.distillation.public_texts import NUMBER, agreed
from tests.sites.small_encoders import table


def test_a_line_is_a_text_and_empty_ones_are_none(tmp_path: Path) -> None:
    assert agreed_texts(agreed(tmp_path)) == tuple(table(n=NUMBER, seed=77)["text"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": "0" * 64}, "every site needs the same bytes"),
        ({"texts": 5}, "has 24 texts, but the run says distil.texts=5"),
        ({"file": "/nowhere/public.txt"}, "cannot be read here"),
    ],
)
def test_other_texts_than_were_agreed_are_refused(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(OtherTexts, match=said):
        agreed_texts(replace(agreed(tmp_path), **changes))  # type: ignore[arg-type]


def test_a_file_that_changed_is_another(tmp_path: Path) -> None:
    plan = agreed(tmp_path)
    agreed_texts(plan)
    Path(plan.file).write_text("something else\n")
    with pytest.raises(OtherTexts):
        agreed_texts(plan)
