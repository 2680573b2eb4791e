"""How a run in the clear is led: from a checkpoint after every round."""

from dataclasses import dataclass

from consortium.coordinator.assembly import clear_strategy
from consortium.coordinator.checkpoint import Checkpoint, write_checkpoint
from consortium.coordinator.later_runs.periods import start_in_the_clear
from consortium.coordinator.led_run import Ending, LedRun
from consortium.coordinator.resume import kept_checkpoint, new_run_name
from strategies.coordinator.plaintext.parameters import Progress


@dataclass(frozen=True)
class ClearAtCoordinator:
    """The coordinator's half of a run in the clear."""

    def lead(self, led: LedRun) -> None:
        """Run all rounds, or go on after the last one that is kept.

        Raises:
            NotResumable: The directory holds a run with other settings.
            ConsortiumError: As the strategy says.
        """
        config, charter = led.config.digest, led.charter.fingerprint

        def keep(progress: Progress) -> None:
            led.trail.commit()
            led.ending = _ending(progress)
            checkpoint = Checkpoint.of(progress, config=config, charter=charter)
            write_checkpoint(led.directory.checkpoint, checkpoint)

        last = kept_checkpoint(led.directory, led.config, led.charter)
        since = last.progress if last else None
        if since:
            led.ending = _ending(since)
            led.recorder.record_resumption(since.state.server_round)
        else:
            led.recorder.record_start()
            if led.config.period:
                since = start_in_the_clear(led.directory, led.config, led.charter)
                keep(since)
        name = since.run if since else new_run_name()
        strategy = clear_strategy(led.config, led.charter, name, observe=led.observe, keep=keep)
        strategy.start(led.grid, led.config.num_server_rounds, since=since)


def _ending(progress: Progress) -> Ending:
    layout, state = progress.layout, progress.state
    return Ending(layout, state.server_round, layout.digest_of(state.vector))
