"""Laws of the texts of the project: pinned, reproducible, divided as documented."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from privacy.errors import MissingLibrary
from scenarios.data import datasets
from scenarios.data import icd10_phrases as diagnoses
from scenarios.data.datasets import DatasetCorrupted, drug_names
from scenarios.data.icd10_phrases import (
    CHAPTERS,
    HOSPITALS,
    MOST_PHRASES,
    SPECIALTIES,
    specialty_hospitals,
)
from scenarios.data.synthetic_news import BANKS, CLASSES, bank_of, market_sentences
from scenarios.data.synthetic_sentences import DISEASE, DRUG, annotated_sentences
from sites.text.iob2_tags import first_break, spans_of
from tests.synthetic_notes import synthetic_notes


@pytest.fixture(scope="module")
def phrases() -> pd.DataFrame:
    return diagnoses.diagnoses()


def digest(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_json(orient="values").encode()).hexdigest()[:16]


def test_phrases_are_the_pinned_ones(phrases: pd.DataFrame) -> None:
    """Their number and every character are pinned."""
    assert len(phrases) == 6_209
    assert phrases["category"].nunique() == 876
    assert set(phrases["chapter"]) == set(CHAPTERS.values())
    assert phrases.groupby("category").size().max() == MOST_PHRASES
    assert not phrases.duplicated(["category", "text"]).any()
    assert digest(phrases) == "125bba72b93142ee"


def test_the_phrases_of_a_category_are_at_one_hospital(phrases: pd.DataFrame) -> None:
    site = specialty_hospitals(phrases)
    assert (site.groupby(phrases["category"]).nunique() == 1).all()
    assert set(site) == set(HOSPITALS)
    half = phrases.iloc[::2]
    assert specialty_hospitals(half).equals(site.iloc[::2])


def test_most_of_a_specialty_is_at_its_hospital(phrases: pd.DataFrame) -> None:
    """The skew is as documented: six of ten categories at home, the rest spread evenly."""
    first = phrases.drop_duplicates("category")
    site = specialty_hospitals(first)
    homes = {chapter: name for name, chapters in SPECIALTIES.items() for chapter in chapters}
    assert (site == first["chapter"].map(homes)).mean() == pytest.approx(0.6, abs=0.03)
    assert pd.crosstab(site, first["chapter"]).to_numpy().min() > 0


def test_another_version_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnoses, "SHA256", "0" * 64)
    with pytest.raises(DatasetCorrupted, match=r"install that version"):
        diagnoses.diagnoses.__wrapped__()
    monkeypatch.setattr(diagnoses, "PACKAGE", "no_such_package")
    with pytest.raises(MissingLibrary, match=r"consortium-fl\[text\]"):
        diagnoses.diagnoses.__wrapped__()


def test_the_package_is_read_but_not_imported() -> None:
    """Importing it would warn, and parse everything again."""
    assert importlib.util.find_spec("simple_icd_10_cm") is not None
    source = Path(diagnoses.__file__).read_text()
    assert "import simple_icd_10_cm" not in source


def test_drug_names_are_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = drug_names()
    assert len(names) == len(set(names)) == 1_076
    (tmp_path / "drug-names.txt").write_text("aspirin\n")
    monkeypatch.setattr(datasets, "FOLDER", tmp_path)
    with pytest.raises(DatasetCorrupted, match="SHA-256"):
        drug_names()


def test_synthetic_sentences_mark_exactly_the_inserted_terms() -> None:
    frame = annotated_sentences()
    assert digest(frame) == "f906f9294cee903d"
    drugs = set(drug_names())
    for tokens, tags in zip(frame["tokens"], frame["tags"], strict=True):
        assert len(tokens) == len(tags)
        assert first_break(tags) is None
        inside = {word for span in spans_of(tags) for word in range(span.start, span.end)}
        named = {n for n, token in enumerate(tokens) if token.lower() in drugs}
        assert named <= inside
        for kind, start, end in spans_of(tags):
            assert kind in (DISEASE, DRUG)
            assert kind == DISEASE or tokens[start].lower() in drugs
            assert kind == DISEASE or end == start + 1


def test_no_two_patients_share_a_drug() -> None:
    """So held-out patients have names that training never saw."""
    frame = annotated_sentences()
    owner: dict[str, str] = {}
    for person, tokens, tags in zip(frame["patient"], frame["tokens"], frame["tags"], strict=True):
        for kind, start, _ in spans_of(tags):
            if kind == DRUG:
                assert owner.setdefault(tokens[start].lower(), person) == person


def test_each_company_in_the_synthetic_news_has_one_bank() -> None:
    frame = market_sentences()
    assert digest(frame) == "c54e4d1eae9f48b1"
    assert set(frame["sentiment"]) == set(CLASSES)
    assert (frame.groupby("company")["bank"].nunique() == 1).all()
    assert sorted(set(bank_of(frame))) == sorted(BANKS)
    assert not frame["text"].str.contains("[{}]").any()


def test_no_single_word_decides_the_sentiment() -> None:
    frame = market_sentences()
    rose = frame[frame["text"].str.contains("rose")]
    assert set(rose["sentiment"]) == {"negative", "positive"}


def test_synthetic_notes_have_the_requested_length() -> None:
    notes = synthetic_notes(20, sentences=40, seed=3)
    pd.testing.assert_frame_equal(notes, synthetic_notes(20, sentences=40, seed=3))
    words = np.array([len(text.split()) for text in notes["text"]])
    assert words.min() > 250
    assert (notes["text"].str.count("Diagnosis: ") == 1).all()
    positions = [text.index("Diagnosis: ") / len(text) for text in notes["text"]]
    assert np.ptp(positions) > 0.5
