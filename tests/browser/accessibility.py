"""What axe (www.deque.com/axe) finds wrong in a page, and whether the page scrolls sideways."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tests.browser.tab import Tab

ANOTHER = "CONSORTIUM_AXE"
LOOKS = tuple((width, dark) for width in (390, 1280) for dark in (False, True))
CROSSED = ((390, False), (1280, True))  # each width and each theme once, in half the time
SEVERE = frozenset({"serious", "critical"})
# axe judges no text that stands on a picture, and the shadow at the edge of a table is one.
_FLATTEN = """
(() => {
  const flat = new CSSStyleSheet();
  flat.replaceSync("* { background-image: none !important; transition: none !important }");
  document.adoptedStyleSheets.push(flat);
  document.querySelectorAll("details").forEach(one => { one.open = true; });
})()
"""
_FIND = """
axe.run(document, { resultTypes: ["violations"], preload: false }).then(found =>
  found.violations.map(one => [one.id, one.impact, one.help,
    one.nodes.map(node => `${node.target.join(" ")}: ${node.html}`)]))
"""
_BEYOND = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_WHERE_SHOWN = 3


@dataclass(frozen=True)
class Fault:
    """What is wrong with a page.

    Args:
        page: Its address.
        look: How it was looked at.
        rule: The rule of axe, or `sideways`.
        impact: As axe grades it: minor, moderate, serious or critical.
        told: What should be, and where it is not.
    """

    page: str
    look: str
    rule: str
    impact: str
    told: str

    @property
    def is_severe(self) -> bool:
        """Whether somebody cannot use the page for it."""
        return self.impact in SEVERE


def axe_script() -> str:
    """Return the source of axe: the one that `make install` brings, or the file in an own one.

    `CONSORTIUM_AXE` names a newer `axe.min.js`, as `npm pack axe-core` brings it.
    """
    if another := os.environ.get(ANOTHER):
        return Path(another).read_text()
    return (resources.files("axe_core_python") / "axe.min.js").read_text()


def faults(
    tab: Tab, addresses: Iterable[str], looks: Sequence[tuple[int, bool]] = LOOKS
) -> list[Fault]:
    """Return what is wrong with pages, each looked at in each way.

    Args:
        tab: Shows the pages.
        addresses: Where they are.
        looks: Pairs of a width in CSS pixels and whether it is dark.
    """
    axe, found = axe_script(), []
    for address in addresses:
        tab.show(address)
        tab.ask(_FLATTEN)
        tab.ask(axe)
        for width, dark in looks:
            tab.look(width=width, dark=dark)
            look = f"{width} px, {'dark' if dark else 'light'}"
            if beyond := tab.ask(_BEYOND):
                told = f"{beyond} px lie beyond the edge"
                found.append(Fault(address, look, "sideways", "serious", told))
            for rule, impact, help_, nodes in tab.ask(_FIND):
                where = "; ".join(nodes[:_WHERE_SHOWN])
                told = f"{help_} ({len(nodes)}): {where}"
                found.append(Fault(address, look, rule, impact, told))
    return found


def told(found: Iterable[Fault]) -> str:
    """Return faults as lines; of none, nothing."""
    return "\n".join(f"{one.page}, {one.look}: {one.rule}: {one.told}" for one in found)
