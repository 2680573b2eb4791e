"""Export a privacy ledger as one HTML page and a CSV, for a data protection officer."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from consortium.report.ledger.plot import draw_loss
from consortium.report.ledger.statement import View, to_csv
from consortium.report.plots import style as plots
from consortium.wording.pages import render_page

PAGE = "ledger.html"
TABLE = "ledger.csv"


def write_export(view: View, directory: Path, *, site: str, now: datetime) -> tuple[Path, Path]:
    """Write the page and a CSV with the same entries; return both paths.

    Args:
        view: The ledger; it has at least one entry.
        directory: The folder to write to, created if absent.
        site: The site's name.
        now: The time of the export.
    """
    directory.mkdir(parents=True, exist_ok=True)
    page, table = directory / PAGE, directory / TABLE
    page.write_text(ledger_page(view, site=site, now=now))
    table.write_text(to_csv(view))
    return page, table


def ledger_page(view: View, *, site: str, now: datetime) -> str:
    """Return the page as HTML. It refers to no other file."""
    pictures = [
        plots.full_width_plot(
            f"ledger-{number}",
            partial(draw_loss, account),
            title=account.data_set,
            alt=f"epsilon {account.spent.weighed:.3f} of {account.budget.epsilon:g}",
        )
        for number, account in enumerate(view.accounts)
    ]
    return render_page(
        "ledger.html.j2",
        view=view,
        plots=pictures,
        site=site,
        at=now.astimezone(UTC).isoformat(timespec="seconds"),
    )
