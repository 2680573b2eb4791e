"""SYNTHETIC sentences of financial news in three classes, generated from a seed.

Companies, figures and sentences are invented. The class depends on a combination of words: rising
sales are good news and rising costs are bad, so that no single word decides.
"""

from functools import cache

import numpy as np
import pandas as pd

CLASSES = ("negative", "neutral", "positive")
BANKS = ("harbour-bank", "river-bank", "summit-bank", "valley-bank")
COMPANIES = 320
SENTENCES_A_COMPANY = 10
_SEED = 20_260_402

# Each bank follows one trade. Last: its shares of negative, neutral and positive news.
_TRADES = {
    "harbour-bank": ("shipping", "container volumes", "freight rates", (0.5, 0.3, 0.2)),
    "river-bank": ("software", "subscriptions", "licence income", (0.2, 0.3, 0.5)),
    "summit-bank": ("mining", "ore output", "metal prices", (0.3, 0.5, 0.2)),
    "valley-bank": ("retail", "same-store sales", "footfall", (0.35, 0.3, 0.35)),
}
_SYLLABLES = ("al", "bor", "cen", "dra", "el", "fin", "gor", "hel", "ister", "jun", "kar", "lo")
_FORMS = ("Oyj", "AG", "plc", "Inc", "SA", "Group")

_GOOD = ("net sales", "operating profit", "orders", "market share", "the dividend", "{a}", "{b}")
_BAD = ("costs", "net debt", "credit losses", "staff turnover", "impairments", "delays")
_UP = ("rose", "grew", "climbed", "increased", "jumped", "went up")
_DOWN = ("fell", "declined", "dropped", "decreased", "slid", "shrank")

_NEWS = (
    "{name} said {what} {moved} {share} % in the {quarter} quarter.",
    "At {name}, {what} {moved} to EUR {amount} mn from EUR {before} mn a year earlier.",
    "{what} of {trade} company {name} {moved} {share} % from the previous year.",
    "Analysts noted that {what} at {name} {moved} again, by {share} %.",
    "{name} : {what} {moved} {share} % in {year}.",
)
_WITHOUT_NEWS = (
    "{name} will publish its {quarter}-quarter report on 14 {month}.",
    "{name} is a {trade} company with {amount} employees.",
    "The contract between {name} and its supplier runs until {year}.",
    "{name} kept its forecast for {year} unchanged.",
    "The annual general meeting of {name} elected a new auditor.",
    "{what} of {name} will be reported in {month}.",
    "{name} reported {what} of EUR {amount} mn, in line with the previous year.",
)
_MONTHS = ("January", "March", "May", "August", "October", "November")
_QUARTERS = ("first", "second", "third", "fourth")


@cache
def market_sentences() -> pd.DataFrame:
    """Return SYNTHETIC sentences: `company`, `bank`, `sentiment`, `text`.

    Guarantee: the same rows on every machine. A company has one bank, and all its sentences name
    it. The result is cached: callers must not change it.
    """
    rng = np.random.default_rng(_SEED)
    rows = []
    for number in range(COMPANIES):
        bank = BANKS[number % len(BANKS)]
        shares = _TRADES[bank][3]
        name = _draw_name(rng)
        for _ in range(SENTENCES_A_COMPANY):
            sentiment = CLASSES[rng.choice(len(CLASSES), p=shares)]
            text = _write_sentence(sentiment, name, bank, rng)
            rows.append(
                {"company": f"c{number:03}", "bank": bank, "sentiment": sentiment, "text": text}
            )
    return pd.DataFrame(rows)


def bank_of(frame: pd.DataFrame) -> "pd.Series[str]":
    """Return the bank of each sentence."""
    return frame["bank"].astype(str).rename("site")


def _write_sentence(sentiment: str, name: str, bank: str, rng: np.random.Generator) -> str:
    trade, first, second, _ = _TRADES[bank]
    good = rng.random() < 0.6
    what = _draw_one(_GOOD if good else _BAD, rng).format(a=first, b=second)
    # Good things rise and bad things fall in positive news; in negative news the reverse.
    rising = good == (sentiment == "positive")
    frames = _WITHOUT_NEWS if sentiment == "neutral" else _NEWS
    amount = int(rng.integers(12, 900))
    sentence = _draw_one(frames, rng).format(
        name=name,
        what=what,
        moved=_draw_one(_UP if rising else _DOWN, rng),
        share=int(rng.integers(2, 40)),
        amount=amount,
        before=max(1, int(amount * (0.8 if rising else 1.2))),
        trade=trade,
        quarter=_draw_one(_QUARTERS, rng),
        month=_draw_one(_MONTHS, rng),
        year=int(rng.integers(2019, 2026)),
    )
    return sentence[0].upper() + sentence[1:]


def _draw_name(rng: np.random.Generator) -> str:
    stem = "".join(_draw_one(_SYLLABLES, rng) for _ in range(int(rng.integers(2, 4))))
    return f"{stem.capitalize()} {_draw_one(_FORMS, rng)}"


def _draw_one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
