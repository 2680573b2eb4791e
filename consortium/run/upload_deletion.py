"""When a coordinator deletes uploads: what is deleted cannot be opened by who gets a key later."""

from datetime import datetime, timedelta
from pathlib import Path

from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.leader_lock import hold_leadership, is_led
from consortium.run.party_directory import CoordinatorDirectory

UPLOADS_DAYS = 30


def delete_run_uploads(run: RunDirectory, *, before: datetime) -> int:
    """Delete the uploads of a run that came before a time; return how many there were.

    What is kept in their place are receipts and sums. The sums can no longer be audited.

    Raises:
        AlreadyLed: The run is in progress.
    """
    if not run.vault.is_dir():
        return 0
    with hold_leadership(run.leader):
        return EvidenceStore(run.vault).delete_uploads(before=before)


def delete_old_uploads(coordinator: Path, *, now: datetime, days: int = UPLOADS_DAYS) -> int:
    """Delete the uploads that came more than some days ago; return how many there were.

    Guarantee: no upload of a run that is not in progress is older afterwards, however the run
    ended.

    Args:
        coordinator: The coordinator's directory.
        now: The time.
        days: How long uploads are kept for an audit.
    """
    runs = [
        RunDirectory(path) for path in sorted(CoordinatorDirectory(coordinator).runs.glob("*/"))
    ]
    before = now - timedelta(days=days)
    return sum(delete_run_uploads(run, before=before) for run in runs if not is_led(run.leader))
