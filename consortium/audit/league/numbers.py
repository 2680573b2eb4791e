"""Numbers: what an open combination of uploads says, in the units of the sites' updates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from consortium.audit.league.elimination import Combination
from consortium.audit.league.plaintexts import Content, Plaintexts
from consortium.audit.league.streams import Value
from consortium.audit.sum_verification import Auditor
from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.parameters import planes, step_of
from consortium.protocol.run_state import RunState
from privacy.encryption.quantisation import Scales, joined_levels, mean_from_levels
from privacy.layout import Vector
from privacy.protocol.envelope import SealedState
from privacy.secrets.keys import RunKeys
from privacy.secrets.state_encryption import open_state
from sites.statistics.contract import statistics_for

STATE_FILE = "state.bin"
NUM_SHOWN = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """The numbers that open.

    Args:
        values: An update, times the share of its site in the average; or counts.
        checksum_right: Whether the checksum proves that this is what the sites sealed.
    """

    values: Vector
    checksum_right: bool

    @property
    def norm(self) -> float:
        """Their Euclidean length."""
        return float(np.linalg.norm(self.values))


@dataclass(frozen=True, eq=False)
class RoundNumbers:
    """Reads what is open of the uploads of one kind in one round.

    Args:
        auditor: Of the coordinator's files.
        keys: Of the run.
        plaintexts: The uploads.
    """

    auditor: Auditor
    keys: RunKeys
    plaintexts: Plaintexts

    def of(self, combination: Combination[Value]) -> Numbers | None:
        """Return what a combination holds; None if that cannot be computed."""
        content = self.plaintexts.combined(combination.weights)
        if content is None:
            return None
        return Numbers(values=self._values(content), checksum_right=content.checksum_right)

    def _values(self, content: Content) -> Vector:
        if not content.levels.size:
            return content.tally.astype(np.float64)
        config, server_round = self.auditor.config, self._server_round
        parameters = self.plaintexts.uploads[0].placement.parameters
        split = planes(config, server_round)
        return mean_from_levels(
            joined_levels(content.levels, parameters, split),
            total_class=8,  # the whole: each update counts by its own class
            scales=self._scales,
            parameters=parameters,
            planes=split,
        )

    @property
    def _server_round(self) -> int:
        return self.plaintexts.uploads[0].receipt.label.slot.server_round

    @cached_property
    def _scales(self) -> Scales:
        """What the sites' levels of this round stand for, from the state they trained from."""
        auditor, layout = self.auditor, self.auditor.read_layout()
        path = auditor.vault.folder / f"round-{self._server_round}" / STATE_FILE
        sealed = SealedState.decode(path.read_bytes())
        content = open_state(
            sealed,
            keys=self.keys,
            server_round=sealed.context.server_round,
            digest=self.plaintexts.uploads[0].receipt.label.state,
        )
        state = RunState.decode(
            content,
            layout=layout,
            statistics_size=statistics_for(auditor.charter.table).layout.size,
            bins_size=len(bin_steps(auditor.config, auditor.charter).first),
        )
        return step_of(auditor.config, auditor.charter, layout).scales(state)
