"""How Sphinx builds the documents as a site; `make docs` calls it, without a network.

The source is the root of the repository, so that a link leads to the same place on the site and in
the repository. The navigation is made from the links of docs/index.md.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "Consortium"
html_title = project
root_doc = "docs/index"
extensions = ["myst_parser"]
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/*.md",
    "scenarios/data/README.md",
]
# folders that need not be searched
exclude_patterns = [".*", "runs", "site", "tests", "consortium", "privacy", "sites", "strategies"]

myst_heading_anchors = 4

html_theme = "furo"
html_copy_source = False
html_use_index = False
html_show_sphinx = False
templates_path = ["_templates"]
html_additional_pages = {"index": "redirect.html"}  # who opens the folder comes to docs/index

# What axe finds in the pages of the theme (`tests/browser`). Each pattern finds nothing in its own
# result, as a page that has not changed is not written again.
ACCESSIBLE = (
    # the captions of the navigation are headings of no level
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    # what scrolls, the keyboard must reach
    ("<pre>", '<pre tabindex="0">'),
    (
        '<div class="table-wrapper ([^"]*)">',
        r'<div class="table-wrapper \1" tabindex="0" role="group" aria-label="Table">',
    ),
    # two landmarks of a kind need names
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="All pages">'),
    ('<aside class="toc-drawer">', '<aside class="toc-drawer" aria-label="This page">'),
    # a heading without words is none
    ('<th class="([^"]*)"><p></p></th>', r'<td class="\1"><p></p></td>'),
    (r'(?<!</h1>)<div id="search-results">', '<h1>Search</h1><div id="search-results">'),
)


def navigation(index: str) -> str:
    """Return the tables of contents, one for each section of the index."""
    tables = []
    for section in index.split("\n## ")[1:]:
        pages = re.findall(r"\]\(([^)#:]+)\.md\)", section)
        places = "\n".join(page if page.startswith("..") else f"/docs/{page}" for page in pages)
        title = section.partition("\n")[0]
        tables.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{places}\n```\n")
    return "\n".join(tables)


def add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the navigation to the index; a page that it does not name is an orphan."""
    if page == root_doc:
        source[0] += "\n" + navigation(source[0])


def make_accessible(app: Sphinx, failure: Exception | None) -> None:
    """Mend the pages that were written, for those who hear them or have no mouse."""
    for page in [] if failure else Path(app.outdir).rglob("*.html"):
        text = mended = page.read_text()
        for pattern, better in ACCESSIBLE:
            mended = re.sub(pattern, better, mended)
        if mended != text:
            page.write_text(mended)


def setup(app: Sphinx) -> None:
    """Take part in the reading and the writing of the pages."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", make_accessible)
