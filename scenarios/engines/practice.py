"""What institutions would bring, to practise with: a schema, and a file of records each."""

from pathlib import Path

from scenarios.data.datasets import load
from scenarios.engines.staging import NoRecords
from scenarios.scenario import Scenario


def write_practice(scenario: Scenario, folder: Path) -> tuple[Path, ...]:
    """Write the schema of a scenario, and the records of each of its sites as CSV; return all.

    Raises:
        NoRecords: The scenario comes without a data set.
    """
    if scenario.dataset is None or scenario.site_of_row is None:
        raise NoRecords(f"{scenario.name} comes without a data set")
    folder.mkdir(parents=True, exist_ok=True)
    schema = folder / "schema.json"
    schema.write_text(scenario.table.model_dump_json(indent=1))
    written = [schema]
    frame = load(scenario.dataset)
    owner = scenario.site_of_row(frame)
    for name in scenario.sites:
        path = folder / f"{name}.csv"
        frame[owner == name].to_csv(path, index=False)
        written.append(path)
    return tuple(written)
