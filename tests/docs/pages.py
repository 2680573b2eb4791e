"""The documents: their order, their blocks of commands, their links and headings."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "index.md"
OPERATE = ROOT / "docs" / "operate.md"
DEPLOY = ROOT / "docs" / "deploy.md"
HUBS = ROOT / "docs" / "hubs.md"
RUN_CONFIG = ROOT / "docs" / "run-config.md"
DATA = ROOT / "scenarios" / "data" / "README.md"
PAGES = (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))

SIMULATED = (
    "scenario run heart-diagnosis --engine simulation --set aggregation=encrypted"
    " --set num-server-rounds=2"
)
NOT_RUN = {
    "git clone ADDRESS-OF-THIS-REPOSITORY consortium": "needs a network; a reader has a clone",
    "cd consortium": "goes with it",
    "source .venv/bin/activate": "puts the commands on the path; here they are",
    "make demo": "installs, and runs what another block runs",
    SIMULATED: "tests/scenarios/test_simulation.py runs it",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language and its text."""

    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command that a page shows, and the lines it shows of what comes back."""

    line: str
    shown: tuple[str, ...]

    @property
    def is_run(self) -> bool:
        """Whether a test runs it; if not, `NOT_RUN` says why."""
        return self.line not in NOT_RUN


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in its order."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S):
        yield Block(found[1], found[2])


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block, in its order."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        line, *shown = part.rstrip("\n").split("\n")
        yield Command(line, tuple(shown))


def shell_lines(page: Path) -> list[str]:
    """Return every line of the shell blocks of a page, in its order."""
    texts = [block.text for block in blocks(page) if block.language == "sh"]
    return [line for text in texts for line in text.splitlines() if line]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def codes(page: Path) -> list[str]:
    """Return every piece of code within a line of prose; a break of the line counts as a space."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


def links(page: Path) -> list[str]:
    """Return the targets of the links and pictures of a page."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def is_outside(target: str) -> bool:
    """Whether a link leads out of the repository."""
    return target.startswith("https://")


def linked_file(page: Path, target: str) -> Path:
    """Return the file that a link within the repository leads to."""
    path, _, _ = target.partition("#")
    return (page.parent / path).resolve() if path else page


def anchors(page: Path) -> set[str]:
    """Return what a link can name behind `#`: the headings, as GitHub and the site write them."""
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.M):
        slug = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return names


def reached_from(start: Path) -> set[Path]:
    """Return the pages that links lead to from a page, over any number of steps; itself too."""
    reached, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        inside = [linked_file(page, target) for target in links(page) if not is_outside(target)]
        new = {file for file in inside if file.suffix == ".md"} - reached
        reached |= new
        waiting += new
    return reached


def reading_order() -> list[Path]:
    """Return all pages: the README, then those that the index names, in its order."""
    named = [README, *(linked_file(INDEX, target) for target in links(INDEX))]
    return list(dict.fromkeys([page for page in named if page in PAGES] + list(PAGES)))


def worth_table() -> dict[str, list[str]]:
    """Return the rows of the README's table of comparisons, by scenario."""
    rows = re.findall(r"^\| `([a-z-]+)` \|(.*)\|$", README.read_text(), re.M)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}
