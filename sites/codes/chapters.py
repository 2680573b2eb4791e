"""The chapters of four versions of the ICD, as they were published.

Facts of the classifications, which no licence covers: ICD-10 of the WHO, version 2019; ICD-10-CM
of the CDC, April 2026; ICD-10-GM of the BfArM, version 2025; ICD-9-CM of the CDC, its last
version, 2012. A chapter is named by its first and last category.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

IcdSystem: TypeAlias = Literal["icd-9-cm", "icd-10", "icd-10-cm", "icd-10-gm"]

_ICD_10 = (
    "A00-B99 C00-D48 D50-D89 E00-E90 F00-F99 G00-G99 H00-H59 H60-H95 I00-I99 J00-J99 K00-K93 "
    "L00-L99 M00-M99 N00-N99 O00-O99 P00-P96 Q00-Q99 R00-R99 S00-T98 V01-Y98 Z00-Z99 U00-U99"
)
_ICD_10_CM = (
    "A00-B99 C00-D49 D50-D89 E00-E89 F01-F99 G00-G99 H00-H59 H60-H95 I00-I99 J00-J99 K00-K95 "
    "L00-L99 M00-M99 N00-N99 O00-O9A P00-P96 Q00-QA0 R00-R99 S00-T88 V00-Y99 Z00-Z99 U00-U85"
)
_ICD_10_GM = (
    "A00-B99 C00-D48 D50-D90 E00-E90 F00-F99 G00-G99 H00-H59 H60-H95 I00-I99 J00-J99 K00-K93 "
    "L00-L99 M00-M99 N00-N99 O00-O99 P00-P96 Q00-Q99 R00-R99 S00-T98 V01-Y84 Z00-Z99 U00-U99"
)
_ICD_9_CM = (
    "001-139 140-239 240-279 280-289 290-319 320-389 390-459 460-519 520-579 580-629 630-679 "
    "680-709 710-739 740-759 760-779 780-799 800-999 V01-V91 E000-E999"
)
CHAPTERS: Mapping[IcdSystem, tuple[str, ...]] = {
    "icd-9-cm": tuple(_ICD_9_CM.split()),
    "icd-10": tuple(_ICD_10.split()),
    "icd-10-cm": tuple(_ICD_10_CM.split()),
    "icd-10-gm": tuple(_ICD_10_GM.split()),
}


def chapter_of(system: IcdSystem, category: str) -> str | None:
    """Return the chapter in which a category stands; None if it stands in none.

    Args:
        system: The version of the ICD.
        category: Its first characters, before the dot: `I21`, `250`, `V10`, `E849`.
    """
    return range_of(CHAPTERS[system], category)


def range_of(ranges: Sequence[str], category: str) -> str | None:
    """Return the narrowest range in which a category stands; None if it stands in none.

    Args:
        ranges: Each by its first and last category, or by its only one.
        category: The first characters of a code.
    """
    found = None
    for one in ranges:
        first, _, last = one.partition("-")
        # Categories of one length are in their order as texts, digits before letters.
        if len(category) == len(first) and first <= category <= (last or first):
            found = one if found is None else _narrower(found, one)
    return found


def _narrower(one: str, other: str) -> str:
    (first, _, last), (other_first, _, other_last) = one.partition("-"), other.partition("-")
    inside = other_first >= first and (other_last or other_first) <= (last or first)
    return other if inside else one
