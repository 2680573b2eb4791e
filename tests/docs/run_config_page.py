"""The tables in docs/run-config.md, written from what the code declares.

`python -m tests.docs.run_config_page` from the root of the repository writes what stands between
two marks on the page: each key of the run config with its default, its range and its sentence.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from consortium.config import DEFAULTS, SETTINGS, Setting
from consortium.wording.formatting import setting_text

PAGE = Path(__file__).parents[2] / "docs" / "run-config.md"

BEGIN, END = "<!-- generated: the run config -->\n", "<!-- end of what is generated -->\n"
HEADINGS: Mapping[str, str] = {
    "": "Rounds and sites",
    "schedule": "When the model moves",
    "learner": "The learner",
    "describe": "Table 1",
    "glm": "Regression",
    "trees": "Boosted trees",
    "card": "Score cards",
    "cox": "Survival",
    "distil": "Answers to agreed texts",
    "personal": "A model of each site's own",
    "training": "Training at a site",
    "compression": "Compression of updates",
    "pruning": "Pruning",
    "table_model": "The model of tables",
    "text_model": "The encoder of texts",
    "rule": "The rule",
    "server_optimizer": "The server optimizer",
    "dp": "Differential privacy",
}


def written(page: str) -> str:
    """Return a page whose tables are those of the code; the rest stays as it is."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n" + "\n".join(_tables()) + f"\n{END}{after}"


def _tables() -> Iterator[str]:
    for part, heading in HEADINGS.items():
        yield f"## {heading}\n"
        yield "| key | default | range | what it says |"
        yield "|---|---|---|---|"
        yield from (_row(one) for one in SETTINGS.values() if one.part == part)
        yield ""


def _row(setting: Setting) -> str:
    declared, default = setting.declaration, DEFAULTS[setting.key]
    choices = ", ".join(f"`{word}`" for word in declared.choices)
    shown = f"`{setting_text(default)}`" if default != "" else "empty"
    return f"| `{setting.key}` | {shown} | {choices or declared.range} | {declared.sentence} |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
