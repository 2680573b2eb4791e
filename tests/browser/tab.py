"""A tab of a headless Chromium that is asked over pipes: one process for many pages.

The commands are those of the DevTools protocol (chromedevtools.github.io/devtools-protocol).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fcntl import F_DUPFD, fcntl
from pathlib import Path
from typing import Any, BinaryIO

from tests.browser.chromium import require_chromium

_HEIGHT = 900
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
    *("--allow-file-access-from-files", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
)
# Chromium reads commands from file 3 and writes what it says to file 4
_WITH_PIPES = (
    "import os, sys; heard, said, *program = sys.argv[1:]; os.dup2(int(heard), 3); "
    "os.dup2(int(said), 4); os.execvp(program[0], program)"
)


class ScriptFailed(Exception):
    """A command or a script of a test failed in the browser."""


@dataclass
class Tab:
    """A tab that shows one page after the other.

    Args:
        commands: Where commands are written.
        answers: Where answers and events are read.
    """

    commands: BinaryIO
    answers: BinaryIO
    _session: str = field(default="", init=False)
    _asked: int = field(default=0, init=False)

    def attach(self) -> None:
        """Open the tab."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        attached = self.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.command("Page.enable")
        self.command("Page.setLifecycleEventsEnabled", enabled=True)

    def show(self, address: str) -> None:
        """Show a page; return once it is loaded.

        Raises:
            ScriptFailed: There is no such page.
        """
        shown = self.command("Page.navigate", url=address)
        if told := shown.get("errorText"):
            raise ScriptFailed(f"{address}: {told}")
        loaded = {"loaderId": shown["loaderId"], "name": "load"}
        while not loaded.items() <= self._next().get("params", {}).items():
            pass

    def look(self, *, width: int, dark: bool) -> None:
        """Look at the page on a screen of this width in CSS pixels, by day or by night."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": _HEIGHT, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def ask(self, script: str) -> Any:
        """Return the value of a script in the page; of a promise, what it is fulfilled with.

        Raises:
            ScriptFailed: The script raised.
        """
        options = {"awaitPromise": True, "returnByValue": True}
        found = self.command("Runtime.evaluate", expression=script, **options)
        if "exceptionDetails" in found:
            raise ScriptFailed(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command.

        Raises:
            ScriptFailed: The browser refused it, or ended.
        """
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": parameters}
        whose = {"sessionId": self._session} if self._session else {}
        self.commands.write(json.dumps(asked | whose).encode() + b"\0")
        self.commands.flush()
        while (answer := self._next()).get("id") != self._asked:
            pass
        if "error" in answer:
            raise ScriptFailed(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        said = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            if not byte:
                raise ScriptFailed("the browser ended")
            said += byte
        message: dict[str, Any] = json.loads(said)
        return message


@contextmanager
def open_tab(folder: Path) -> Iterator[Tab]:
    """Open a browser with one tab, which reaches this machine alone; end it at the end.

    Args:
        folder: Where the browser keeps what it remembers.
    """
    heard, commands = os.pipe()
    answers, said = os.pipe()
    given = [fcntl(one, F_DUPFD, 10) for one in (heard, said)]  # not 3 or 4, which are overwritten
    browser = [require_chromium(), *_ARGUMENTS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", _WITH_PIPES, *map(str, given), *browser],
        pass_fds=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for one in (heard, said, *given):
        os.close(one)
    with ExitStack() as ending:
        ending.callback(process.wait)
        ending.callback(process.kill)
        tab = Tab(
            ending.enter_context(os.fdopen(commands, "wb", buffering=0)),
            ending.enter_context(os.fdopen(answers, "rb")),
        )
        tab.attach()
        yield tab
