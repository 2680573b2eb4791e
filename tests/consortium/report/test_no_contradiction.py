"""A report never contradicts itself, whatever the mode, the privacy, the rule and the outcome.

Each statement stands with what must be so for it to be true. Reports are made from run records of
each mode x privacy x rule x outcome; nothing is trained.
"""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from consortium.config import RunConfig
from consortium.report.elements.blocks import Facts, Paragraph, Points, Section, Table
from consortium.report.elements.headline import headline
from consortium.report.elements.run_reader import Recorded
from consortium.report.render import ANSWERS
from consortium.wording.formatting import SPACE
from tests.consortium.sample_run import BANKS, Sample

MODES: dict[str, dict[str, Any]] = {
    "clear": {"aggregation": "clear"},
    "encrypted": {"aggregation": "encrypted"},
}
PRIVACY: dict[str, dict[str, Any]] = {
    "off": {},
    "person": {"dp.unit": "person", "dp.epsilon": 1.0},
    "record": {"dp.unit": "record", "dp.noise-multiplier": 1.5},
}
RULES: dict[str, dict[str, Any]] = {
    "mean": {},
    "median": {"rule.name": "coordinate-median"},
    "trimmed": {"rule.name": "trimmed-mean", "rule.num-byzantine": 1},
}
OUTCOMES = {
    "finished": Sample(),
    "few": Sample(rounds=2),
    "linear": Sample(config={"model": "logistic"}, models_at=BANKS[1:]),
    "linear-elsewhere": Sample(config={"model": "logistic"}),
    "three": Sample(members=BANKS[:3]),
    "uncounted": Sample(uncounted=True),
    "alone-withheld": Sample(released=BANKS[:3]),
    "all-withheld": Sample(released=()),
    "stopped": Sample(completed=2, error="quorum-not-reached: one of 4 answered; missing: x, y"),
    "never-began": Sample(absent=BANKS, completed=0, error="quorum-not-reached: nobody came"),
    "nobody-flagged": Sample(cautious=True),
    "no-figures": Sample(no_figures="withheld, because the charter releases none"),
}


@dataclass(frozen=True)
class Case:
    """One way in which a run can be set up and end."""

    mode: str
    privacy: str
    rule: str
    outcome: str

    @property
    def config(self) -> dict[str, Any]:
        """What its run config sets."""
        return {**MODES[self.mode], **PRIVACY[self.privacy], **RULES[self.rule]}


Holds: TypeAlias = Callable[[Case], bool]


def evaluated(case: Case) -> bool:
    """Whether there are pooled figures."""
    return case.outcome not in {"never-began", "no-figures"}


# A statement, and when it must be there; where that is False, it must not.
STATEMENTS: dict[str, Holds] = {
    r"This run was in the clear": lambda case: case.mode == "clear",
    r"[Tt]he coordinator could (also )?read each": lambda case: case.mode == "clear",
    r"The coordinator could not read the update": lambda case: case.mode == "encrypted",
    r"Training was not private": lambda case: case.privacy == "off",
    r"Training was differentially private": lambda case: (
        case.privacy != "off" and case.outcome != "never-began"
    ),
    r"No round was completed, so there is no model that could reveal anything": lambda case: (
        case.privacy != "off" and case.outcome == "never-began"
    ),
    r"bounded by the differential privacy of this run": lambda case: case.privacy != "off",
    r"give exactly the same model": lambda case: case.privacy == "off",
    r"do not give the same model again": lambda case: case.privacy != "off",
    r"Updates were averaged": lambda case: case.mode == "clear" and case.rule == "mean",
    r"set to expect no harmful": lambda case: case.mode == "clear" and case.rule == "median",
    r"that may send anything. A larger number": lambda case: (
        case.mode == "clear" and case.rule == "trimmed"
    ),
    r"The run stopped": lambda case: case.outcome in {"stopped", "never-began"},
    r"Together, (four|three) banks trained": lambda case: (
        case.outcome not in {"stopped", "never-began"}
    ),
    r"flags none of the": lambda case: case.outcome == "nobody-flagged",
    r"counts of dune-bank follow from the total": lambda case: (
        case.mode == "clear" and case.outcome == "alone-withheld"
    ),
    r"a majority of these released": lambda case: (
        case.mode == "encrypted" and evaluated(case) and case.outcome != "stopped"
    ),
    r"because the charter releases none": lambda case: case.outcome == "no-figures",
    r"Measured on [\d,]+ held-out records": evaluated,
    r"Whether the model had converged cannot be told": lambda case: case.outcome == "few",
    r"converged: over the last|had not converged|has risen since": lambda case: (
        case.outcome not in {"few", "stopped", "never-began", "no-figures"}
    ),
    r"Within single banks the AUC is": lambda case: (
        evaluated(case)
        and case.outcome
        not in ({"all-withheld"} if case.mode == "clear" else {"three", "uncounted"})
    ),
    r"each counted its own pairs, and only their sum was opened": lambda case: (
        case.mode == "encrypted" and evaluated(case) and case.outcome not in {"three", "uncounted"}
    ),
    r"that released their counts. The pooled AUC": lambda case: (
        case.mode == "clear" and evaluated(case) and case.outcome != "all-withheld"
    ),
    r"within single banks is not known here: no counts": lambda case: (
        case.mode == "clear" and case.outcome == "all-withheld"
    ),
    r"within single banks is not known here: the banks of this run did not": lambda case: (
        case.mode == "encrypted" and case.outcome == "uncounted"
    ),
    r"within single banks is withheld, because with fewer than four banks": lambda case: (
        case.mode == "encrypted" and case.outcome == "three"
    ),
    r"The pooled AUC \(0.\d+\) also compares records of two different banks": evaluated,
    r"intercept -?[\d.]+ -?\d": lambda case: case.outcome == "linear",
    r"The log-odds of default = yes against no are": lambda case: case.outcome == "linear",
    r"these have no intervals": lambda case: case.outcome == "linear",
    r"adds noise, and it is in every coefficient": lambda case: (
        case.outcome == "linear" and case.privacy != "off"
    ),
    r"at a site that has it lists its coefficients": lambda case: (
        case.outcome == "linear-elsewhere"
    ),
    r"\b0 held-out records": lambda case: False,
    r"privacy, which this run did not use|was not trained with differential": lambda case: False,
}


def words_of(section: Section) -> str:
    """Return the text of a section, without its pictures."""
    said = [section.title, section.lead]
    for block in section.blocks:
        match block:
            case Paragraph(text=text):
                said.append(text)
            case Points(heading=heading, items=items):
                said += [heading, *items]
            case Facts(items=items):
                said += [f"{name}: {value}" for name, value in items]
            case Table(caption=caption, note=note, rows=rows):
                said += [caption, note, *(" ".join(row) for row in rows)]
    return " ".join(said)


def told(recorded: Recorded) -> str:
    """Return all that the report of such a run says, in one line."""
    sections = [section for answer in ANSWERS if (section := answer(recorded)) is not None]
    text = " ".join([headline(recorded), *map(words_of, sections)])
    return re.sub(r"\s+", " ", unescape(text).replace(SPACE, " "))


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures, which take nearly all of the time and are not read here."""
    monkeypatch.setattr("consortium.report.plots.style._rendered_svg", lambda draw, width: "")


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("mode", MODES)
def test_every_statement_is_there_if_it_is_true_and_only_then(
    mode: str, outcome: str, tmp_path: Path
) -> None:
    sample = replace(OUTCOMES[outcome], config={**OUTCOMES[outcome].config, **MODES[mode]})
    if mode == "encrypted":
        sample = replace(sample, released=())
    recorded = Recorded.read(sample.write(tmp_path))
    wrong = []
    for privacy, rule in itertools.product(PRIVACY, RULES):
        case = Case(mode, privacy, rule, outcome)
        config = RunConfig.parse({**recorded.summary.config, **case.config}).flat()
        summary = recorded.summary.model_copy(update={"config": config})
        said = told(replace(recorded, summary=summary))
        for statement, holds in STATEMENTS.items():
            if bool(re.search(statement, said)) != holds(case):
                wrong.append((case, statement, holds(case)))
    assert not wrong
