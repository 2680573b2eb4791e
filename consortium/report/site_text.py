"""What a site can say by itself of its model and of its part in the runs: text, for its own people.

A module of its own because it reads what a coordinator never has.
"""

from collections.abc import Iterator
from pathlib import Path

from consortium.audit.cross_check import read_log
from consortium.audit.journal import LOG
from consortium.audit.receipt import log_page
from consortium.charter.document import Charter
from consortium.model.card import ModelEvaluation, RunOutcome, model_card
from consortium.model.files import read_model
from consortium.model.personal import read_personal_figures
from consortium.report.elements.run_reader import Recorded
from consortium.report.ledger.statement import Account, NoLedger, read_ledger_view
from consortium.report.preview.view import finding_lines
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.record_check import open_alarms, read_check
from consortium.wording import formatting as words
from consortium.wording.metric_glossary import meaning_of

_NO_MODEL = "There is no model here: no run of this site has come to its end."
_PROVISIONAL = (
    "There is no confirmed model here. That of the last run is provisional until more than half of "
    "its sites signed the same final state: the coordinator resumes the run."
)


def site_text(directory: Path, run: RunDirectory | None = None) -> str:
    """Return a site's model card, how its records look, what they lost, and what its log counts.

    Args:
        directory: The site's directory.
        run: The directory of the model's run, which the coordinator has, for the figures.

    Raises:
        BadSite: There is no site.
        BadRunDirectory: The run's directory holds no run that ended, or it trained another model.
    """
    place = SiteDirectory(directory)
    parts = [
        f"{read_site_config(directory).name}: {_charter_text(place)}",
        _model_text(place, run),
        *_personal_text(directory),
        "\n".join(("## Its records beside the others'", "", *_check_lines(directory))),
        "\n".join(("## What its data lost", "", *_ledger_lines(directory))),
        "\n".join(("## What its audit log counts", "", *_log_lines(place))),
    ]
    return "\n\n".join(parts).replace(words.SPACE, " ")


def read_outcome(run: RunDirectory) -> RunOutcome:
    """Read who trained the model of a run, and its evaluation if there is one."""
    recorded = Recorded.read(run)
    tally, name = recorded.evaluation_by_group, run.path.resolve().name
    if tally is None:
        return RunOutcome(
            trained=recorded.trained_sites, name=name, synthetic=recorded.synthetic_sentence
        )
    judged = ModelEvaluation(
        evaluation=recorded.grouped_evaluation,
        tally=tally,
        comparison=recorded.comparison,
    )
    return RunOutcome(
        trained=recorded.trained_sites,
        judged=judged,
        name=name,
        synthetic=recorded.synthetic_sentence,
    )


def _personal_text(directory: Path) -> tuple[str, ...]:
    """Return how the site's own model does beside the shared one, if it has made one."""
    figures = read_personal_figures(directory)
    if figures is None:
        return ()
    lines = [
        f"- {meaning_of(name).title}: {words.figure(figures.shared[name])} shared, "
        f"{words.figure(value)} own"
        for name, value in figures.own.items()
        if name in figures.shared
    ]
    told = (
        f"Made by personalise={figures.method} out of the shared model, and measured on "
        f"{words.count(figures.held_out)} held-out records of this site. It is for this site alone."
    )
    return ("\n".join(("## Its own model", "", told, "", *lines)),)


def _charter_text(place: SiteDirectory) -> str:
    if not place.charter.exists():
        return "no charter is installed"
    charter = Charter.read(place.charter)
    return f"member of {charter.name}, revision {charter.revision}"


def _model_text(place: SiteDirectory, run: RunDirectory | None) -> str:
    if place.model.is_dir():
        subject = read_model(place.model).subject
        if run is not None:
            _require_same_model(run, subject.digest)
        return model_card(subject, read_outcome(run) if run else None).rstrip()
    return _PROVISIONAL if any(place.provisional.glob("*")) else _NO_MODEL


def _require_same_model(run: RunDirectory, digest: str) -> None:
    trained = read_record(run.summary, Summary).model_digest
    if trained != digest:
        raise BadRunDirectory(
            f"the run in {run.path} trained another model ({trained[:16] or 'none'}) than the one "
            f"here ({digest[:16]}): name the run of this model"
        )


def _check_lines(directory: Path) -> Iterator[str]:
    check = read_check(directory)
    if check is None:
        yield "No run compared them yet."
        return
    yield from finding_lines(check.findings, open_alarms(directory, check.findings))


def _ledger_lines(directory: Path) -> Iterator[str]:
    try:
        view = read_ledger_view(directory)
    except NoLedger:
        yield "Nothing: its ledger has no entry."
        return
    for one in view.released:
        times = words.count_with_noun(one.times, "time")
        yield f"- {one.data_set}: {one.what} of {one.whose}, without noise, {times} in one run"
    yield from (_account_line(account) for account in view.accounts)


def _account_line(account: Account) -> str:
    budget, spent = account.budget, account.spent.weighed
    return (
        f"- {account.data_set}: epsilon {spent:.3f} of {budget.epsilon:g} at delta "
        f"{budget.delta:g} for each {budget.unit}, {account.left:.3f} left for a further run"
    )


def _log_lines(place: SiteDirectory) -> Iterator[str]:
    log = place.audit / LOG
    if not log.exists():
        yield "Nothing: it has no audit log yet."
        return
    agreed = Charter.read(place.charter) if place.charter.exists() else None
    page = log_page(read_log(log, agreed))
    yield f"- {words.count_with_noun(page.entries, 'entry')}, {page.began} to {page.ended}, intact"
    yield from (f"- {what}: {words.count(number)}" for what, number in page.counts)
    yield from (f"- refused, {code}: {words.count(number)}" for code, number in page.refusals)
