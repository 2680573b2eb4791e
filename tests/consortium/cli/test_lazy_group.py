"""Commands that are imported when they are used are listed, found and described as all others."""

import inspect
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner

from consortium.cli.lazy_group import LazyCommand, load_command
from consortium.cli.main import COMMANDS as consortium_commands
from consortium.cli.main import app
from consortium.cli.site import COMMANDS as site_commands
from scenarios.cli.main import COMMANDS as scenario_commands

HEAVY = ("torch", "transformers", "matplotlib")
EVERY_DAY = ("site", "coordinator", "charter", "run", "run-config")
HEAVIER_THAN_HELP = (*HEAVY, "flwr", "pandas", "pandera", "numpy", "pydantic")
WITHOUT_MESSAGES = ("charter", "provision", "site", "audit", "coordinator", "run-config")
LISTED = (
    "charter",
    "provision",
    "site",
    "coordinator",
    "run",
    "resume",
    "stop",
    "status",
    "run-config",
    "audit",
)


def shown(*words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return re.sub(r"\x1b\[[0-9;]*m", "", done.output)


def test_every_command_is_shown_and_has_help() -> None:
    overview = shown()
    for name in LISTED:
        assert name in overview
        assert "Usage" in shown(name)


def test_a_lazy_command_inside_a_group_is_there() -> None:
    assert "ledger" in shown("site")
    assert "--what-if" in shown("site", "ledger")


def test_a_command_that_is_none_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["sites"]).exit_code == 2


@pytest.mark.parametrize(
    "commands",
    [consortium_commands, scenario_commands, site_commands],
    ids=["consortium", "scenario", "site"],
)
def test_the_summary_of_a_command_is_the_first_paragraph_of_its_help(
    commands: Mapping[str, LazyCommand],
) -> None:
    """The help of a group lists a command by a summary that stands apart from the command."""
    for name, lazy in commands.items():
        shown_help = inspect.cleandoc(load_command(name, lazy).help or "")
        assert shown_help.partition("\n\n")[0].replace("\n", " ") == lazy.summary


@pytest.mark.parametrize("program", ["consortium.cli.main", "scenarios.cli.main"])
def test_help_loads_nothing_that_takes_long_to_load(program: str) -> None:
    code = (
        "import sys\n"
        f"from {program} import app\n"
        "try:\n"
        "    app(['--help'])\n"
        "except SystemExit as ended:\n"
        "    assert ended.code == 0\n"
        f"print('loaded:', *(name for name in {HEAVIER_THAN_HELP} if name in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "loaded:"


@pytest.fixture(scope="module")
def loaded_by() -> Mapping[str, str]:
    """Return what of the heavy is loaded once each command was typed, in one process in turn."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from consortium.cli.main import app\n"
        f"for command in {EVERY_DAY}:\n"
        "    CliRunner().invoke(app, [command, 'none', '--help'])\n"
        f"    print(command, *[name for name in {HEAVY} if name in sys.modules], sep=':')\n"
        "import consortium.site.data_check\n"
        "print('data_check', *{'transformers', 'peft', 'torch'} & set(sys.modules), sep=':')"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name: rest for name, _, rest in (ln.partition(":") for ln in told.stdout.splitlines())}


@pytest.mark.parametrize("command", EVERY_DAY)
def test_what_an_operator_types_every_day_loads_nothing_that_learns_or_draws(
    command: str, loaded_by: Mapping[str, str]
) -> None:
    assert loaded_by[command] == ""


def test_what_handles_no_message_and_no_table_loads_neither_flower_nor_pandas() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from consortium.cli.main import app\n"
        f"for command in {WITHOUT_MESSAGES}:\n"
        "    CliRunner().invoke(app, [command, '--help'])\n"
        f"print(*{{*{HEAVY}, 'flwr', 'pandas'}} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_records_are_checked_without_what_learns_or_reads_texts(
    loaded_by: Mapping[str, str],
) -> None:
    """It takes four seconds to load."""
    assert loaded_by["data_check"] == ""


def test_a_site_that_answers_loads_nothing_that_reads_learns_or_accounts_before_it_does() -> None:
    """A fresh process answers each message on the deployment engine; this cost it four seconds."""
    code = (
        "import sys, consortium.client_app\n"
        "from sites.schema.tables import ClassLabel, Number, Schema\n"
        "from sites.plans import ModelPlan\n"
        "from sites.tasks.registry import task_for\n"
        "income = Number(name='income', low=0, high=1e6)\n"
        "defaults = ClassLabel(column='defaults', classes=('no', 'yes'))\n"
        "table = Schema(name='loans', person='borrower', features=(income,), label=defaults)\n"
        "assert task_for('credit', table, ModelPlan(), seed=7).layout.dim == 32 + 32 + 32 + 1\n"
        "print(*{'torch', 'pandas', 'pandera', 'dp_accounting'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
