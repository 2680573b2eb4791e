"""HTML pages: one jinja environment for the report, the ledger page and the audit receipt.

Every value is escaped. A template that uses a name without a value raises an error. This is a
module of its own because audit/ and report/ share it, and neither should know of jinja.
"""

import base64
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from consortium.wording.formatting import moment, short_run

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: str, **values: object) -> str:
    """Return a page: a template filled with values. It refers to no other file.

    Args:
        template: Name of a file in `templates/`.
        values: The values to show, by name.
    """
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(data_uri=_data_uri, moment=moment, short_run=short_run)
    return environment


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
