"""Real diagnostic phrases of ICD-10-CM, with their chapters and hospitals.

The phrases are the titles and inclusion terms of the tabular list of April 2026 (US NCHS and CMS,
public domain), from the XML file that `simple-icd-10-cm` carries (MIT). A whole three-character
category is one "person", so that near-duplicates within it are all on the same side of the split.
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

from privacy.errors import require_library
from scenarios.data.datasets import DatasetCorrupted

Names: TypeAlias = "pd.Series[str]"

PACKAGE = "simple_icd_10_cm"
FILE = "data/icd10c-tabular-April-1-2026.xml"
SHA256 = "f161f8182aff3ce3a2a78e202f8259c08eaee2c670a9e45b0072445c52302935"

# Chapters that hospitals name departments after, by their number in the list.
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
    """Return the phrases in the order of the list: `category`, `chapter` and `text`.

    Guarantee: the same rows on every machine. A category has at most `MOST_PHRASES` distinct
    phrases, chosen by their digests, so that injuries, which have thousands, do not outnumber the
    rest. The result is cached: callers must not change it.

    Raises:
        DatasetCorrupted: The package's file is absent or its content differs.
    """
    return all_phrases(most=MOST_PHRASES)


def all_phrases(*, most: int | None = None) -> pd.DataFrame:
    """Return the phrases as `diagnoses` does, at most `most` a category; by default all.

    Raises:
        DatasetCorrupted: The package's file is absent or its content differs.
    """
    rows = [
        {"category": category, "chapter": CHAPTERS[chapter], "text": phrase}
        for category, chapter, phrases in _categories(_tabular_list())
        if chapter in CHAPTERS
        for phrase in _draw_phrases(phrases, most)
    ]
    return pd.DataFrame(rows)


def specialty_hospitals(frame: pd.DataFrame) -> Names:
    """Return the hospital of each phrase, one of `HOSPITALS`, by its category.

    Guarantee: the hospital depends on category and chapter alone. About 60 % of a specialty's
    categories are at its hospital, the rest spread evenly over the others, by a digest of the
    code. This label skew is artificial, and documented as such.
    """
    home = {chapter: site for site, chapters in SPECIALTIES.items() for chapter in chapters}
    homes = [home[chapter] for chapter in frame["chapter"]]
    return pd.Series(
        [
            _hospital_of_category(code, site)
            for code, site in zip(frame["category"], homes, strict=True)
        ],
        index=frame.index,
        name="site",
        dtype=object,
    )


def _hospital_of_category(category: str, home: str) -> str:
    # A digest as a number in [0, 1): uniform, and the same on every machine, unlike hash().
    share = int(_digest(category)[:8], 16) / 16**8
    if share < AT_HOME:
        return home
    others = [name for name in HOSPITALS if name != home]
    return others[int((share - AT_HOME) / (1 - AT_HOME) * len(others))]


def _draw_phrases(phrases: dict[str, None], most: int | None) -> list[str]:
    chosen = {*sorted(phrases, key=_digest)[:most]}
    return [phrase for phrase in phrases if phrase in chosen]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _categories(
    tabular_list: ElementTree.Element,
) -> Iterator[tuple[str, str, dict[str, None]]]:
    """Yield the code, chapter number and distinct phrases, in order, of each category."""
    for chapter in tabular_list.iter("chapter"):
        number = chapter.findtext("name", "")
        for category in chapter.iterfind("section/diag"):
            phrases = {  # a dict, as an ordered set
                str(item.text): None
                for code in category.iter("diag")
                for item in (*code.iterfind("desc"), *code.iterfind("inclusionTerm/note"))
            }
            yield category.findtext("name", ""), number, phrases


def _tabular_list() -> ElementTree.Element:
    """Return the package's XML without importing the package, which would parse all of it."""
    require_library("to write clinical notes", PACKAGE, extra="text")
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        content = (Path(folder) / FILE).read_bytes() if (Path(folder) / FILE).is_file() else b""
        if hashlib.sha256(content).hexdigest() == SHA256:
            return ElementTree.fromstring(content)  # noqa: S314 -- the bytes are pinned
    raise DatasetCorrupted(
        f"{FILE} of simple-icd-10-cm 1.5.0 is absent, or its content differs: install that version"
    )
