"""How an encrypted run is led: from sums and receipts that its coordinator cannot read."""

from dataclasses import dataclass
from functools import partial

from consortium.coordinator.assembly import encrypted_strategy
from consortium.coordinator.counted_rosters import CountedRosters
from consortium.coordinator.failed_openers import FailedOpeners
from consortium.coordinator.led_run import Ending, LedRun
from consortium.coordinator.question_key import signer_of_questions
from consortium.coordinator.resume import standing
from consortium.coordinator.run_store import RunStore
from consortium.modes.registry import mode_of
from consortium.run.evidence_store import EvidenceStore
from strategies.coordinator.encrypted.progress import SealedProgress
from strategies.coordinator.messaging.events import RunEvent


@dataclass(frozen=True)
class EncryptedAtCoordinator:
    """The coordinator's half of an encrypted run."""

    def lead(self, led: LedRun) -> None:
        """Run all rounds, or ask once more what was asked last.

        Raises:
            BadProgress: What was kept is not whole.
            NoQuestionKey: The charter names a key of the coordinator that is not here.
            ConsortiumError: As the strategy says.
        """
        vault = EvidenceStore(led.directory.vault, keeps_all=led.config.keep_uploads == "all")
        store = RunStore(vault, led.trail, has_sets=mode_of(led.config).masks_uploads)
        led.trail.before_sending = store.before_sending

        def reach(progress: SealedProgress) -> None:
            led.ending = Ending(progress.layout, progress.rounds, progress.model_digest)

        num_rounds = led.config.num_server_rounds
        since = standing(led.directory, led.config, led.charter)
        if since:
            reach(since.progress(num_rounds))
            led.recorder.record_resumption(since.request.server_round - (2 if since.untold else 1))
        else:
            led.recorder.record_start()
        openers = FailedOpeners.of(led.directory)
        # With private training nothing is counted, whoever takes part.
        counts = led.config.privacy.counts_statistics
        counted = CountedRosters.of(led.directory) if counts else CountedRosters(None)

        def observe(event: RunEvent) -> None:
            led.observe(event)
            openers.note(event)

        strategy = encrypted_strategy(
            led.config,
            led.charter,
            observe=observe,
            keep=store.keep,
            keep_before_sending=store.keep_before_sending,
            reach=reach,
            asked_last=openers.names,
            sign=signer_of_questions(led.directory, led.charter),
            claim_roster=partial(counted.claim, led.charter.fingerprint),
        )
        strategy.start(led.grid, num_rounds, since=since)
