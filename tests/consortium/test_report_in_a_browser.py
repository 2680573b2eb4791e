"""What a browser finds in a report: nothing to complain of, to fetch, or that is cut off."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from consortium.run.directory import RunDirectory
from tests.browser.chromium import require_chromium
from tests.browser.sample_pages import ledger_of_many_runs, receipt_of_a_run
from tests.consortium.report.sample_reports import SHARED, write_reports
from tests.consortium.sample_run import Sample

PHONE, SMALL_PHONE, SCREEN = 390, 320, 1280
PAPER = 688  # pixels: A4 without the margins

MANY = tuple(f"hospital-{place}" for place in range(24))  # as many as a table of features shows
OWN = {
    "stopped": Sample(completed=0, error="quorum-not-reached: one of 4 answered"),
    "long-names": Sample(
        members=tuple(f"{letter}{'o' * 61}-n" for letter in "klmn"), rounds=2, released=()
    ),
    "many": Sample(
        members=MANY,
        rounds=2,
        values={"federated": 0.75, **dict.fromkeys(MANY, 0.6), "pooled": 0.76},
    ),
}
SAMPLES = {**SHARED, **OWN}
ASK_EACH_FRAME = """
addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    const beyond = [...page.querySelectorAll("th, td")].filter(
      cell => cell.getBoundingClientRect().right > root.clientWidth + 1);
    const told = cell => [...page.querySelectorAll(".sideways")].some(
      hint => hint.nextElementSibling.contains(cell) && hint.offsetHeight > 0);
    return {
      cut: beyond.filter(cell => !told(cell)).length,
      overflow: root.scrollWidth - root.clientWidth,
      images: page.images.length,
      broken: [...page.images].filter(image => image.naturalWidth === 0).length,
      rules: page.styleSheets[0]?.cssRules.length ?? 0,
    };
  });
  document.body.dataset.found = JSON.stringify(found);
});
"""


@dataclass(frozen=True)
class Visit:
    """What a browser saw and said.

    Args:
        frames: Of each frame, in order: cells beyond its edge that no sentence tells of, overflow
            in pixels, images, broken images, style rules.
        complaints: Lines of the console.
        requests: Addresses that a page, not the browser itself, asked the network for.
    """

    frames: list[dict[str, int]]
    complaints: list[str]
    requests: list[str]


def visit(folder: Path, pages: dict[Path, tuple[int, ...]]) -> Visit:
    """Show pages in frames of given widths, in a browser that reaches no network."""
    frames = "".join(
        f'<iframe src="{page.as_uri()}" width="{width}" height="900"></iframe>'
        for page, widths in pages.items()
        for width in widths
    )
    wrapper = folder / "wrapper.html"
    wrapper.write_text(f"<!doctype html><body>{frames}<script>{ASK_EACH_FRAME}</script>")
    net_log = folder / "net.json"
    shown = subprocess.run(
        [
            require_chromium(),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--allow-file-access-from-files", "--enable-logging=stderr", "--dump-dom"),
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={net_log}",
            wrapper.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = re.search(r"data-found=\"([^\"]*)\"", shown.stdout)
    assert found, "the wrapper's script did not run"
    return Visit(
        frames=json.loads(found[1].replace("&quot;", '"')),
        complaints=[line for line in shown.stderr.splitlines() if "CONSOLE" in line],
        requests=requested_by_pages(net_log),
    )


def requested_by_pages(net_log: Path) -> list[str]:
    """Return what pages asked for; what the browser asks for itself has no origin."""
    started = [event.get("params", {}) for event in json.loads(net_log.read_text())["events"]]
    asked = [one for one in started if "url" in one and "initiator" in one]
    return [one["url"] for one in asked if one["initiator"] != "not an origin"]


@pytest.fixture(scope="module")
def visited(
    shared_reports: dict[str, RunDirectory], tmp_path_factory: pytest.TempPathFactory
) -> Visit:
    """All samples, on a screen, on two phones and on paper, in one visit."""
    folder = tmp_path_factory.mktemp("visit")
    pages: dict[Path, tuple[int, ...]] = {}
    runs = shared_reports | write_reports(OWN, folder)
    shown = [run.report for run in runs.values()]
    shown += [ledger_of_many_runs(folder / "ledger"), receipt_of_a_run(folder / "receipt")]
    for number, page in enumerate(shown):
        on_paper = printed(page, folder / f"printed-{number}.html")
        pages |= {page: (SCREEN, PHONE, SMALL_PHONE), on_paper: (PAPER,)}
    return visit(folder, pages)


def printed(page: Path, path: Path) -> Path:
    """Write a copy of a page with the style that it has on paper; return its path."""
    on_paper = page.read_text().replace("@media print", "@media all")
    path.write_text(on_paper.replace("@media screen", "@media speech"))
    return path


def test_no_page_complains(visited: Visit) -> None:
    assert visited.complaints == []


def test_no_page_asks_the_network(visited: Visit) -> None:
    assert visited.requests == []


def test_no_column_is_cut_off(visited: Visit) -> None:
    """On a phone a row becomes a card; only a table of shades is moved sideways, and says so."""
    assert [frame["cut"] for frame in visited.frames] == [0] * len(visited.frames)


def test_no_page_is_wider_than_a_screen_or_a_phone(visited: Visit) -> None:
    assert len(visited.frames) == 4 * (len(SAMPLES) + 2)
    assert [frame["overflow"] for frame in visited.frames] == [0] * len(visited.frames)


def test_every_picture_is_drawn_and_the_style_is_read(visited: Visit) -> None:
    assert sum(frame["images"] for frame in visited.frames) > 30
    assert [frame["broken"] for frame in visited.frames] == [0] * len(visited.frames)
    assert all(frame["rules"] > 40 for frame in visited.frames)


def test_a_page_that_does_all_that_is_caught(tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<!doctype html><img src="http://example.invalid/x.png"><p style="width: 700px">wide</p>'
        '<div style="overflow: auto"><table><td style="min-width: 700px">a</td></table></div>'
        "<script>console.error('oops')</script>"
    )
    seen = visit(tmp_path, {bad: (PHONE,)})
    assert any("oops" in line for line in seen.complaints)
    assert seen.requests == ["http://example.invalid/x.png"]
    assert seen.frames[0]["overflow"] > 0
    assert seen.frames[0]["cut"] == 1
    assert seen.frames[0]["broken"] == 1
