"""An interrupted run goes on from its directory: in another process, on another machine."""

import json
import secrets

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.checkpoint import Checkpoint, read_checkpoint
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.leader_lock import AlreadyLed, is_led
from consortium.run.records import Summary, read_record
from privacy.errors import ConsortiumError
from privacy.storage.durable_files import write_atomically
from strategies.coordinator.encrypted.progress import PROGRESS_FILE, SealedStanding, read_standing


class NotResumable(ConsortiumError, ValueError, code="not-resumable"):
    """A directory holds no run that was interrupted, or one of another charter or config."""


def new_run_name() -> str:
    """Return a name for a run that no other has."""
    return secrets.token_hex(16)


def write_run_config(run: RunDirectory, config: RunConfig) -> None:
    """Keep what a run is started with."""
    run.coordinator.mkdir(parents=True, exist_ok=True)
    write_atomically(run.run_config, json.dumps(config.flat(), indent=1))


def interrupted_config(run: RunDirectory) -> RunConfig:
    """Return what an interrupted run was started with.

    Raises:
        NotResumable: No run was started in the directory, or it is finished.
        AlreadyLed: It goes on.
    """
    if run.summary.exists() and read_record(run.summary, Summary).status == "finished":
        raise NotResumable(f"the run in {run.path} is finished: there is nothing to resume")
    try:
        config = RunConfig.parse(json.loads(run.run_config.read_bytes()))
    except (OSError, ValueError) as error:
        raise NotResumable(
            f"no run was started in {run.path}: name the directory of a run that was interrupted"
        ) from error
    if is_led(run.leader):
        raise AlreadyLed(f"the run in {run.path} goes on: wait for its end, or stop it")
    return config


def standing(run: RunDirectory, config: RunConfig, charter: Charter) -> SealedStanding | None:
    """Return where an encrypted run goes on; None if it begins.

    What the sites have opened, config and charter included, they hold the coordinator to.

    Raises:
        NotResumable: The run was started with other settings.
        BadProgress: A file is damaged.
    """
    vault = EvidenceStore(run.vault)
    if not (run.vault / PROGRESS_FILE).exists():
        return None
    return read_standing(vault.read, charter.fingerprint, config.num_server_rounds)


def kept_checkpoint(run: RunDirectory, config: RunConfig, charter: Charter) -> Checkpoint | None:
    """Return the checkpoint that a run in the clear goes on from; None if it begins.

    Raises:
        NotResumable: The checkpoint is that of another charter or config.
        BadCheckpoint: The file is damaged.
    """
    if not run.checkpoint.exists():
        return None
    found = read_checkpoint(run.checkpoint)
    if (found.charter, found.config) != (charter.fingerprint, config.digest):
        raise NotResumable(
            f"{run.checkpoint} belongs to a run with another charter or other settings: resume "
            "it as it was started, or start a new run in a directory of its own"
        )
    return found
