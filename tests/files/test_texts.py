"""Whatever characters a text has, it is read, or refused by its row before anything is trained."""

import json
import re
from pathlib import Path

from consortium.charter.document import Floors
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.scenario import Scenario
from sites.data.source import TableFile
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema
from tests.sites.small_encoders import small

SCENARIO = Scenario(
    name="wards",
    title="Three wards",
    story="Made up, for tests.",
    task="clinical-notes",
    table=NotesSchema(name="notes", label=ClassLabel(column="label", classes=("flu", "asthma"))),
    sites=("north", "east", "west"),
    run_config={
        "model-name": small(),
        "num-server-rounds": 1,
        "travels": "lora",
        "lora-rank": 2,
        "max-tokens": 16,
        "stride": 4,
        "batch-size": 16,
    },
    floors=Floors(full_class_examples=50),
)
SYMPTOMS = {"flu": "fever and cough", "asthma": "wheeze and dyspnoea"}
LABELS = [*SYMPTOMS] * 15
HALF = '{"person": "p", "text": "pain \\ud83d", "label": "flu"}'  # of an emoji, as JSON may say it


def notes() -> list[str]:
    """Return the lines of a ward's notes."""
    return [
        json.dumps({"person": f"p{row}", "text": SYMPTOMS[label], "label": label})
        for row, label in enumerate(LABELS)
    ]


def run_with_half_a_character(folder: Path) -> tuple[RunDirectory, Summary]:
    """Run a consortium in which the last note of one ward was cut off within an emoji."""
    files = {}
    for name in SCENARIO.sites:
        path = folder / f"{name}.jsonl"
        lines = [*notes(), HALF] if name == "north" else notes()
        path.write_text("".join(f"{line}\n" for line in lines))
        files[name] = TableFile(path=path)
    run = new_run_directory(SCENARIO, under=folder, named=None)
    config = SCENARIO.config_with({})
    return run, run_scenario(ScenarioRun(scenario=SCENARIO, config=config, own_data=files), run)


def test_half_a_character_is_replaced_or_refused_by_its_row(tmp_path: Path) -> None:
    run, summary = run_with_half_a_character(tmp_path)
    refused = {(one.site, one.code, one.counts.get("rows")) for one in summary.quarantined}
    if refused:
        assert refused == {("north", "site-refused.bad-texts", 1)}
        log = (run.site("north") / "site.log").read_text()
        assert re.search(rf"\b(row|line)\b\D*\b{len(LABELS) + 1}\b", log)
    else:
        assert set(summary.evaluated) == set(SCENARIO.sites)
