"""How Sphinx builds the documents as a site; `make docs` calls it, without a network.

The source is the root of the repository, so that a link leads to the same place on the site and in
the repository. The navigation is made from the links of docs/index.md.
"""

import re

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


def setup(app: Sphinx) -> None:
    """Take part in the reading of the pages."""
    app.connect("source-read", add_navigation)
