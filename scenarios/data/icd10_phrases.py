"""Real diagnostic phrases of ICD-10-CM, their chapters, and the hospitals they fall to.

The phrases are the titles and inclusion terms of the tabular list of April 2026 (US NCHS and CMS,
public domain), from the XML file that `simple-icd-10-cm` carries (MIT). A whole three-character
category is one "person": near-duplicates within it never part between training and held-out.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias
from xml.etree import ElementTree

import pandas as pd

from scenarios.data.datasets import DatasetCorrupted

Names: TypeAlias = "pd.Series[str]"

PACKAGE = "simple_icd_10_cm"
FILE = "data/icd10c-tabular-April-1-2026.xml"
SHA256 = "f161f8182aff3ce3a2a78e202f8259c08eaee2c670a9e45b0072445c52302935"

# Chapters that a hospital's department is named after, by their number in the list.
CHAPTERS = MappingProxyType(
    {
        "2": "neoplasms",
        "5": "mental",
        "7": "eye",
        "9": "circulatory",
        "10": "respiratory",
        "11": "digestive",
        "13": "musculoskeletal",
        "14": "genitourinary",
        "15": "pregnancy",
        "19": "injury",
    }
)

SPECIALTIES = MappingProxyType(
    {
        "heart-and-lung": ("circulatory", "respiratory"),
        "cancer-centre": ("neoplasms", "digestive"),
        "womens-hospital": ("pregnancy", "genitourinary"),
        "trauma-centre": ("injury", "musculoskeletal"),
        "mind-and-eye": ("mental", "eye"),
    }
)
HOSPITALS = tuple(SPECIALTIES)

MOST_PHRASES = 8
AT_HOME = 0.6


@cache
def diagnoses() -> pd.DataFrame:
    """Return the phrases: `category`, `chapter` and `text`, in the order of the list.

    Guarantee: the same rows on every machine. A category gives at most `MOST_PHRASES` distinct
    phrases, drawn by their own digest, so that injuries, which have thousands, do not drown
    the rest. Read once a process: callers must not change it.

    Raises:
        DatasetCorrupted: The package's file is absent or has other bytes.
    """
    return all_phrases(most=MOST_PHRASES)


def all_phrases(*, most: int | None = None) -> pd.DataFrame:
    """Return the phrases likewise, with at most so many a category; all of them unless told.

    Raises:
        DatasetCorrupted: The package's file is absent or has other bytes.
    """
    rows = [
        {"category": category, "chapter": CHAPTERS[chapter], "text": phrase}
        for category, chapter, phrases in _categories(_tabular_list())
        if chapter in CHAPTERS
        for phrase in _drawn(phrases, most)
    ]
    return pd.DataFrame(rows)


def specialty_hospitals(frame: pd.DataFrame) -> Names:
    """Return the hospital of each phrase, one of `HOSPITALS`, by its category.

    Guarantee: decided by category and chapter alone. Of the categories of a specialty 60 % stay
    at its hospital and the rest are spread evenly over the others, by a digest of the code: a
    label skew that is made, and named as such.
    """
    home = {chapter: site for site, chapters in SPECIALTIES.items() for chapter in chapters}
    homes = [home[chapter] for chapter in frame["chapter"]]
    return pd.Series(
        [_sent(code, site) for code, site in zip(frame["category"], homes, strict=True)],
        index=frame.index,
        name="site",
        dtype=object,
    )


def _sent(category: str, home: str) -> str:
    share = int(_digest(category)[:8], 16) / 16**8
    if share < AT_HOME:
        return home
    others = [name for name in HOSPITALS if name != home]
    return others[int((share - AT_HOME) / (1 - AT_HOME) * len(others))]


def _drawn(phrases: dict[str, None], most: int | None) -> list[str]:
    chosen = {*sorted(phrases, key=_digest)[:most]}
    return [phrase for phrase in phrases if phrase in chosen]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _categories(
    tabular_list: ElementTree.Element,
) -> Iterator[tuple[str, str, dict[str, None]]]:
    """Yield of each category its code, its chapter's number and its distinct phrases in order."""
    for chapter in tabular_list.iter("chapter"):
        number = chapter.findtext("name", "")
        for category in chapter.iterfind("section/diag"):
            phrases = {
                str(item.text): None
                for code in category.iter("diag")
                for item in (*code.iterfind("desc"), *code.iterfind("inclusionTerm/note"))
            }
            yield category.findtext("name", ""), number, phrases


def _tabular_list() -> ElementTree.Element:
    """Return the XML of the package; the package itself is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        content = (Path(folder) / FILE).read_bytes() if (Path(folder) / FILE).is_file() else b""
        if hashlib.sha256(content).hexdigest() == SHA256:
            return ElementTree.fromstring(content)  # noqa: S314 -- these very bytes
    raise DatasetCorrupted(
        f"{FILE} of simple-icd-10-cm 1.5.0 is not there, or has other bytes: install that version"
    )
