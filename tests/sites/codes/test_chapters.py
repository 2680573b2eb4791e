"""The chapters of the ICD: what a category belongs to, and that no two chapters overlap."""

import pytest

from sites.codes.chapters import CHAPTERS, IcdSystem, chapter_of, range_of


@pytest.mark.parametrize(
    ("system", "category", "chapter"),
    [
        ("icd-10", "I21", "I00-I99"),
        ("icd-10", "D48", "C00-D48"),
        ("icd-10", "D50", "D50-D89"),
        ("icd-10-cm", "D49", "C00-D49"),
        ("icd-10-cm", "QA0", "Q00-QA0"),
        ("icd-10-gm", "D90", "D50-D90"),
        ("icd-9-cm", "250", "240-279"),
        ("icd-9-cm", "V10", "V01-V91"),
        ("icd-9-cm", "E849", "E000-E999"),
        ("icd-9-cm", "1000", None),
    ],
)
def test_a_category_has_the_published_chapter(
    system: IcdSystem, category: str, chapter: str | None
) -> None:
    assert chapter_of(system, category) == chapter


@pytest.mark.parametrize("system", list(CHAPTERS))
def test_the_ends_of_a_chapter_are_in_it_and_in_no_other(system: IcdSystem) -> None:
    chapters = CHAPTERS[system]
    for chapter in chapters:
        for end in chapter.split("-"):
            assert [one for one in chapters if range_of([one], end)] == [chapter]
