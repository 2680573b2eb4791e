"""Print what privacy costs, and what the sites' ledgers say."""

from rich.console import Console
from rich.table import Table

from consortium.config import RunConfig
from consortium.report.sections.privacy import refusal_text
from consortium.run.directory import RunDirectory
from consortium.run.privacy_records import PrivacyCost, ReceiptLine
from privacy.errors import number_of
from scenarios.experiments.privacy_utility import measure_privacy
from scenarios.scenario import Scenario


def print_privacy_utility(
    scenario: Scenario, config: RunConfig, run: RunDirectory, console: Console
) -> PrivacyCost | None:
    """Measure what privacy costs and print it; None if the scenario is not about privacy."""
    if scenario.privacy is None:
        return None
    cost = measure_privacy(scenario, scenario.privacy, config, run, tell=console.print)
    print_privacy_cost(console, cost)
    return cost


def print_privacy_cost(console: Console, cost: PrivacyCost) -> None:
    """Print the metric at each epsilon, the ledgers after each run, and the receipts."""
    table = Table(box=None, pad_edge=False, title="what privacy costs", title_justify="left")
    for heading in ("epsilon", cost.metric_title, "95 % interval", "noise / clip norm"):
        table.add_column(heading, justify="right")
    for point in cost.points:
        noise = point.noise_multiplier
        table.add_row(
            "none" if point.epsilon is None else f"{point.epsilon:g}",
            f"{point.value:.4f}",
            f"{point.low:.4f} to {point.high:.4f}",
            f"{noise[-1]:.2f}" if noise else "-",
        )
    console.print(table)
    _print_campaign(console, cost)
    for receipt in cost.receipts:
        _print_receipt(console, receipt)


def _print_campaign(console: Console, cost: PrivacyCost) -> None:
    ledgers = Table(
        box=None,
        pad_edge=False,
        title="epsilon spent, of what each site allows, after each run on the same records",
        title_justify="left",
    )
    ledgers.add_column("run")
    ledgers.add_column("asked", justify="right")
    ledgers.add_column(cost.metric_title, justify="right")
    for line in cost.campaign[0].sites if cost.campaign else ():
        ledgers.add_column(f"{line.site}\n(of {line.allowed:g})", justify="right")
    for run in cost.campaign:
        ledgers.add_row(
            str(run.number),
            f"{run.epsilon:g}",
            "stopped" if run.value is None else f"{run.value:.4f}",
            *(f"{line.spent:.2f}{'  refused' if line.refused else ''}" for line in run.sites),
        )
    console.print(ledgers)
    refused = ((run, line) for run in cost.campaign for line in run.sites if line.refused)
    for run, line in refused:
        console.print(f"run {run.number}: {refusal_text(line)}", highlight=False)


def _print_receipt(console: Console, receipt: ReceiptLine) -> None:
    found = "; ".join(receipt.differences) or "verified"
    console.print(
        f"receipt of {receipt.what}: {receipt.page}, "
        f"{number_of(receipt.logs, 'log')} of {number_of(receipt.entries, 'entry')}: {found}",
        highlight=False,
        soft_wrap=True,
    )
