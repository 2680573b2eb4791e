"""A ledger on one page, for a data protection officer: offline, with every entry and a digest."""

from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from consortium import plots
from consortium.ledger_view import View, to_csv
from consortium.plots_ledger import draw_loss

PAGE = "ledger.html"
TABLE = "ledger.csv"


def write_export(view: View, directory: Path, *, site: str, now: datetime) -> tuple[Path, Path]:
    """Write what an officer files: the page, and the same lines as CSV.

    Args:
        view: The ledger; it has at least one entry.
        directory: Made if it is not there.
        site: The site's name.
        now: When.
    """
    directory.mkdir(parents=True, exist_ok=True)
    page, table = directory / PAGE, directory / TABLE
    page.write_text(to_html(view, site=site, now=now))
    table.write_text(to_csv(view))
    return page, table


def to_html(view: View, *, site: str, now: datetime) -> str:
    """Return the page; it needs nothing but itself."""
    environment = Environment(
        loader=PackageLoader("consortium", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = [
        plots.plot(
            f"ledger-{number}",
            partial(draw_loss, account),
            title=account.data_set,
            alt=f"epsilon {account.spent.pld:.3f} of {account.budget.epsilon:g}",
        )
        for number, account in enumerate(view.accounts)
    ]
    return environment.get_template("ledger.html.j2").render(
        view=view,
        plots=pictures,
        site=site,
        at=now.astimezone(UTC).isoformat(timespec="seconds"),
        css=(files("consortium") / "report.css").read_text(),
    )
