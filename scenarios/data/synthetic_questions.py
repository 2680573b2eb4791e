"""SYNTHETIC questions of patients in everyday words, and the diagnostic phrases of two hospitals.

Nobody asked these questions: they are made from lists of complaints, from a seed. Their classes are
the chapters of the real phrases in `icd10_phrases`, but they share few words with them: a doctor
writes "paroxysmal tachycardia", a patient asks why the heart is racing. A patient asks about one
complaint, in `QUESTIONS_A_PATIENT` ways. One question in ten also mentions a complaint of another
chapter, so no reader is always right.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
import pandas as pd

from scenarios.data.icd10_phrases import CHAPTERS, all_phrases

NOTES_SITES = ("north-hospital", "south-hospital")
QUESTIONS_SITES = ("patient-line", "web-desk")
PATIENTS = 600
QUESTIONS_A_PATIENT = 2
PHRASES_A_CATEGORY = 2
BESIDES = 0.1  # share of questions that mention another complaint
_SEED = 20_261_201

_COMPLAINTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "neoplasms": (
            "a lump in my breast", "a mole that changed colour", "swollen glands that stay",
            "a growth on my skin", "the chemo making me so tired", "a shadow on my scan",
            "a hard lump under my arm", "my hair falling out after radiation",
        ),
        "mental": (
            "feeling so low every day", "panic on the bus", "voices that others don't hear",
            "worrying all night", "not wanting to eat because I feel fat", "drinking too much",
            "losing interest in everything", "being afraid of crowds",
        ),
        "eye": (
            "blurry sight", "floaters and flashes", "a red sticky eye", "seeing double",
            "my lid drooping", "a cloudy lens", "tears running all the time",
            "trouble reading small print",
        ),
        "circulatory": (
            "my heart racing", "blood pressure that is too high", "veins bulging on my legs",
            "a clot in my leg", "ankles that swell by evening", "my heart skipping beats",
            "a squeezing pain in my chest on the stairs", "cold white fingers",
        ),
        "respiratory": (
            "a cough that won't go away", "wheezing at night", "bringing up green phlegm",
            "being short of breath", "a stuffy nose all year", "sore tonsils",
            "my inhaler not helping", "a blocked nose and sneezing",
        ),
        "digestive": (
            "burning after meals", "going to the toilet ten times a day", "a toothache",
            "not going for a week", "bleeding when I wipe", "cramps after bread",
            "a bulge in my groin when I lift", "pain from my gallbladder",
        ),
        "musculoskeletal": (
            "a stiff back in the morning", "a knee that clicks", "gout in my big toe",
            "shoulders that ache", "swollen finger joints", "brittle bones",
            "a slipped disc", "a neck I can't turn",
        ),
        "genitourinary": (
            "burning when I pee", "getting up five times a night to pee", "very heavy periods",
            "a stone in my kidney", "leaking when I laugh", "no period for months",
            "pain in my testicle", "a weak stream",
        ),
        "pregnancy": (
            "morning sickness", "the baby kicking less", "spotting at ten weeks",
            "contractions before my due date", "sugar in my pregnancy", "twins on the way",
            "sore breasts while nursing", "water breaking early",
        ),
        "injury": (
            "a twisted ankle", "a burn from the oven", "a broken wrist", "a dog bite",
            "a bang on the head", "too many of my pills by mistake", "a deep cut on my hand",
            "glass in my foot",
        ),
    }
)  # fmt: skip
_OPENINGS = (
    "Is it normal to have {what}?",
    "I have had {what} for {time}, should I come in?",
    "My {who} has trouble with {what}. What can we do?",
    "What helps against {what}?",
    "Since {since} there is {what}. Is that bad?",
    "Can I take anything for {what}, please?",
    "Do I need a doctor because of {what}?",
)
_TIMES = ("two days", "a week", "months", "a while now", "years")
_PEOPLE = ("mother", "husband", "son", "sister", "neighbour", "daughter")
_SINCE = ("Monday", "last week", "my holiday", "Christmas", "yesterday")


@cache
def notes_and_questions() -> pd.DataFrame:
    """Return real phrases and SYNTHETIC questions: `person`, `site`, `chapter` and `text`.

    Guarantee: the same rows on every machine. A category of phrases counts as a person and is at
    one hospital, by turns; a patient asks at one place. The result is cached: callers must not
    change it.

    Raises:
        DatasetCorrupted: The package of the phrases is absent or its content differs.
    """
    return pd.concat([_notes(), patient_questions()], ignore_index=True)


def _notes() -> pd.DataFrame:
    phrases = all_phrases(most=PHRASES_A_CATEGORY).rename(columns={"category": "person"})
    turns = pd.factorize(phrases["person"])[0] % len(NOTES_SITES)
    return phrases.assign(site=[NOTES_SITES[turn] for turn in turns])


def patient_questions(seed: int = _SEED) -> pd.DataFrame:
    """Return the SYNTHETIC questions: `person`, `site`, `chapter` and `text`.

    Args:
        seed: With another one they are others, from the same lists.
    """
    rng = np.random.default_rng(seed)
    chapters = tuple(CHAPTERS.values())
    rows = []
    for number in range(PATIENTS):
        chapter = chapters[rng.integers(len(chapters))]
        what = str(rng.choice(_COMPLAINTS[chapter]))
        site = QUESTIONS_SITES[number % len(QUESTIONS_SITES)]
        for opening in rng.choice(_OPENINGS, QUESTIONS_A_PATIENT, replace=False):
            text = opening.format(
                what=what, time=rng.choice(_TIMES), who=rng.choice(_PEOPLE),
                since=rng.choice(_SINCE),
            )  # fmt: skip
            if rng.random() < BESIDES:
                other = chapters[rng.integers(len(chapters))]
                text += f" I also have {rng.choice(_COMPLAINTS[other])}."
            rows.append({"person": f"q{number:03}", "site": site, "chapter": chapter, "text": text})
    return pd.DataFrame(rows)


def site_of(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return the site of each phrase and question."""
    return frame["site"].astype(str)
