"""Whether a site has something new to send in a triggered run, by a rule that needs no training.

A site has nothing new if its records are those from which it trained its last update of the run,
and its loss on the model that it receives is within the run's `trigger-threshold` of its loss then,
as a share of that. The loss is the mean over its training records, so the rule costs one pass over
them without any training; held-out records play no part in it.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.run.records import write_record
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.wire.messages import Position
from sites.tasks.training_loss import training_loss
from strategies.schedule import NOTHING_NEW


class NothingNew(ConsortiumError, RuntimeError, code=NOTHING_NEW):
    """A site's update would change little; it was not computed."""


class LastUpdate(BaseModel):
    """`last-update.json`: how a site stood when it sent its last update of a triggered run.

    Args:
        run: Name of the run.
        records: Fingerprint of the site's records.
        loss: On its training records, of the model that the update was trained from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    records: str
    loss: float


@dataclass(frozen=True)
class News:
    """What a site is about to send, as far as the next question is judged by it.

    Args:
        path: Where it is kept.
        update: How the site stands; None in a run without a trigger, or without a loss.
    """

    path: Path
    update: LastUpdate | None = None

    def keep(self) -> None:
        """Keep how the site stood, now that it sends an update; nothing of it leaves the site."""
        if self.update is not None:
            write_record(self.path, self.update)


def news_of(site: Site, stands: Position) -> News:
    """Return what a site is about to send from a state.

    Guarantee: nothing is entered in the ledger of privacy, and nothing is trained.

    Args:
        site: The site.
        stands: What it received. If that insists, there is something new, whatever the loss.

    Raises:
        NothingNew: The run is triggered, and the site has nothing new.
        ConsortiumError: As the task says.
    """
    path = SiteDirectory(site.directory).last_update
    plan = site.run_config.schedule
    if plan.name != "triggered":
        return News(path)
    site.task.prepare()
    vector = stands.state.astype("float64")
    loss = training_loss(site.task, site.data, stands.statistics, vector)
    if loss is None:
        return News(path)
    now = LastUpdate(run=stands.run, records=site.record_fingerprint, loss=loss)
    if not stands.insists and _is_close(now, _last_update(path), plan.trigger_threshold):
        raise NothingNew("the loss is about what it was when this site last sent an update")
    return News(path, now)


def _is_close(now: LastUpdate, last: LastUpdate | None, threshold: float) -> bool:
    if last is None or (last.run, last.records) != (now.run, now.records):
        return False
    return abs(now.loss - last.loss) < threshold * last.loss


def _last_update(path: Path) -> LastUpdate | None:
    """Return how a site stood at its last update; None if that is not known, so that it sends."""
    try:
        return LastUpdate.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
