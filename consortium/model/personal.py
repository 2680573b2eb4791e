"""The model that a site makes for itself out of the released one; it stays at the site.

The shared model is trained further on the site's own training records, after the run, and both are
measured on the site's own held-out records.
"""

import logging
import shutil
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.model.files import CARD, write_model
from consortium.run.records import write_record
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from privacy.storage.durable_files import write_atomically
from sites.plans import BadPlan, EmptySite

PERSONAL = "personal"  # the folder in that of the shared model

_FIGURES = "figures.json"
_LOG = logging.getLogger(__name__)


class NoPersonalModel(ConsortiumError, LookupError, code="no-personal-model"):
    """A site has no model of its own made out of the shared one."""


class PersonalFigures(BaseModel):
    """`personal/figures.json`: both models on the site's own held-out records.

    Args:
        method: How the own model was made.
        shared_digest: Of the released model that it was made from.
        held_out: Records of the site that nobody was trained on.
        shared: Metrics of the released model, by name.
        own: Metrics of the own model, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    method: str
    shared_digest: str
    held_out: Annotated[int, Field(ge=0)]
    shared: dict[str, float]
    own: dict[str, float]


def personal_folder(site: Path) -> Path:
    """Return where a site's own model is, once the shared one is confirmed."""
    return SiteDirectory(site).model / PERSONAL


def keep_personal_model(
    site: Site, statistics: Tally, vector: Vector, folder: Path, *, server_round: int
) -> None:
    """Make a site's own model in the folder of the shared one, if the run asks for it.

    Guarantee: after a run there is no own model of an earlier run. What cannot be trained is told
    in the site's log, and never ends the run: the shared model is kept, and its answer leaves.

    Args:
        site: The site.
        statistics: The pooled statistics of the shared model.
        vector: The shared model, shape (dim,).
        folder: Holds the shared model, confirmed or not.
        server_round: By which the order of records is drawn.
    """
    own = folder / PERSONAL
    shutil.rmtree(own, ignore_errors=True)
    asked = site.run_config.personal
    if not asked.trains:
        return
    plan, rng = asked.plan(site.run_config.training), site.rng(server_round)
    try:
        update = site.task.train(site.data, statistics, vector, plan, rng=rng).update
    except (EmptySite, BadPlan, ArithmeticError) as error:
        _LOG.warning(
            "no model of this site's own was made out of the shared one: %s",
            error.code if isinstance(error, ConsortiumError) else type(error).__name__,
        )
        return
    _write(site, statistics, vector, update, own)


def _write(site: Site, statistics: Tally, shared: Vector, update: Vector, folder: Path) -> None:
    # Whole or absent: a death in between leaves a folder of another name, which is made anew.
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    own = shared + update
    write_model(site, statistics, own, partial)
    digest = site.task.layout.digest_of(shared)
    write_atomically(partial / CARD, _card(site, digest))
    measured = [_metrics(site, statistics, vector) for vector in (shared, own)]
    figures = PersonalFigures(
        method=site.run_config.personal.method,
        shared_digest=digest,
        held_out=site.data.held_out_examples,
        shared=measured[0],
        own=measured[1],
    )
    write_record(partial / _FIGURES, figures)
    partial.rename(folder)


def _metrics(site: Site, statistics: Tally, vector: Vector) -> dict[str, float]:
    evaluation = site.task.evaluation
    tally = site.task.evaluate(site.data, statistics, vector)
    return {name: metric.value for name, metric in evaluation.metrics(tally).items()}


def _card(site: Site, digest: str) -> str:
    return (
        f"# The own model of {site.config.name}\n\n"
        f"Made by `personalise={site.run_config.personal.method}` out of the shared model "
        f"{digest}, with the training records of this site alone and without noise.\n\n"
        "It is for this site. No other member has it, no figure of it left the site, and no noise "
        "protects the persons whom it learned from: do not hand it out.\n"
    )


def read_personal_figures(site: Path) -> PersonalFigures | None:
    """Return how a site's own model does beside the shared one; None if it has none.

    Raises:
        NoPersonalModel: The folder holds something that cannot be read.
    """
    folder = personal_folder(site)
    if not folder.is_dir():
        return None
    try:
        return PersonalFigures.model_validate_json((folder / _FIGURES).read_bytes())
    except (OSError, ValidationError) as error:
        raise NoPersonalModel(
            f"{folder} holds no own model that can be read: run the last run again"
        ) from error


def require_personal_folder(site: Path) -> Path:
    """Return the folder of a site's own model.

    Raises:
        NoPersonalModel: The site made none.
    """
    folder = personal_folder(site)
    if not folder.is_dir():
        raise NoPersonalModel(
            f"{site} has no model of its own made out of the shared one: begin a run with "
            "personalise=fine-tune, ditto, own-head or, of an encoder, own-norms"
        )
    return folder
