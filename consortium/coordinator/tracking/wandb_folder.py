"""Figures of a run as an offline run of Weights & Biases, which `wandb sync` uploads later.

The files are written here and not by the library: there is no setting with which it would leave out
the versions of Python, the system and itself, it starts another program, and it says nothing
when that program cannot write.
"""

import json
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.wandb_log import Fields, RecordLog, message

_READABLE_FROM = "0.70.0"  # what wandb 0.31.0 says of its own files
_REFUSED = re.compile(r"[\\/#?%:]")  # in the name of a project
_MOST_OF_PROJECT = 128

# the numbers of the fields of a `Record`
_HISTORY, _SUMMARY, _RUN, _EXIT, _HEADER = 2, 3, 17, 18, 21


class WandbFolder:
    """Writes an offline run into a folder: `offline-run-TIME-ID/run-ID.wandb`.

    Guarantee: in it are the names of the consortium and of the run, a random number, times and
    figures. It starts no thread and no program, imports nothing of the library and asks for
    no account, so whatever the system refuses is raised where it is called.

    Args:
        folder: What Weights & Biases calls the wandb directory.
        name: The run; one that is taken up again is another run of that name, whose steps go on.

    Raises:
        OSError: The system refuses a folder or the file.
    """

    def __init__(self, folder: Path, name: RunName) -> None:
        self._began = time.time()
        identity = secrets.token_hex(4)
        started = datetime.fromtimestamp(self._began, UTC)
        place = folder / f"offline-run-{started:%Y%m%d_%H%M%S}-{identity}"
        (place / "files").mkdir(parents=True)
        self._log = RecordLog(place / f"run-{identity}.wandb")
        version = message({1: "consortium", 2: _READABLE_FROM})
        self._log.append({_HEADER: message({1: version})})
        seconds, nanos = divmod(int(self._began * 10**9), 10**9)
        run: Fields = {
            1: identity,
            3: _REFUSED.sub("-", name.consortium)[:_MOST_OF_PROJECT],
            8: name.run,
            17: message({1: seconds, 2: nanos}),
        }
        self._log.append({_RUN: message(run)})

    def note_round(self, told: RoundFigures) -> None:
        """Append the figures of a round."""
        named = {f"metrics/{what}": value for what, value in told.metrics.items()}
        named |= {f"round/{what}": value for what, value in told.course.items()}
        now = time.time()
        named |= {
            "_step": told.server_round,
            "_timestamp": now,
            "_runtime": now - self._began,
        }
        values = _values(named)
        # the library reads the last figures of a run from records of their own
        self._log.append({_SUMMARY: message({1: values})})
        self._log.append({_HISTORY: message({1: values, 2: message({1: told.server_round})})})

    def close(self, *, finished: bool) -> None:
        """Say how the run ended."""
        code, seconds = int(not finished), int(time.time() - self._began)
        self._log.append({_EXIT: message({1: code, 2: seconds})})


def _values(named: Mapping[str, float]) -> list[bytes]:
    # a name in this field is one word, whatever dots it holds
    return [message({2: name, 16: json.dumps(value)}) for name, value in named.items()]
