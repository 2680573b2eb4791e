"""What is wrong with a document that somebody wrote by hand, in words, with the nearest key.

`policy.json`, `site.json`, a schema, a charter: whoever mistyped a key is told which one, and what
it was meant to be.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from privacy.errors import meant_names, number_of

_SHOWN = 5
_NO_SUCH_KEY = "extra_forbidden"
_LONGEST = 60  # characters of a value that are quoted
_URL = re.compile(r"://.*?(?=[\s'\"]|$)")


def document_mistakes(error: Exception, document: Any) -> str:  # noqa: ANN401 -- any annotation
    """Return what is wrong with a document, one mistake after the other.

    Guarantee: a key that is none is named with the nearest one, or with all that there are. A value
    is quoted if it is short and its field is shown in `repr`; one that may hold a password is not,
    and neither is a URL, in whatever place it stands.

    Args:
        error: Why it was refused; anything but a `ValidationError` speaks for itself.
        document: The model, or the type with models in it, that the document should have been.
    """
    if not isinstance(error, ValidationError):
        return str(error)
    found = [*_own_mistakes(error.errors(include_url=False))]
    found.sort(key=lambda one: one["type"] != _NO_SUCH_KEY)  # a key that is missing was mistyped
    more = f"; {number_of(len(found) - _SHOWN, 'mistake')} more" if len(found) > _SHOWN else ""
    told = "; ".join(_mistake(one, document) for one in found[:_SHOWN]) + more
    return _URL.sub("://...", told)  # as a key or a tag


def _own_mistakes(found: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Yield the mistakes without those that others entail: a list whose items failed is empty."""
    entailing = {other["loc"][:depth] for other in found for depth in range(len(other["loc"]))}
    return (one for one in found if one["type"] != "too_short" or one["loc"] not in entailing)


def _mistake(one: ErrorDetails, document: Any) -> str:  # noqa: ANN401 -- any annotation
    place, field, fields = _place(one, document)
    message = one["msg"].removeprefix("Value error, ").replace("Input should", "should")
    match one["type"]:
        case _ if one["type"] == _NO_SUCH_KEY:
            key = str(one["loc"][-1])
            return f"there is no key '{place}': {meant_names(key, fields, kind='key')}"
        case "missing":
            return f"the key '{place}' is missing"
        case "json_invalid":
            return message
    return f"{place}: {message}{_quoted_value(one['input'], field)}" if place else message


def _quoted_value(value: object, field: FieldInfo | None) -> str:
    quotable = isinstance(value, str | int | float | None) and "://" not in str(value)
    shown = quotable and len(repr(value)) <= _LONGEST
    return f", got {value!r}" if shown and (field is None or field.repr) else ""


def _place(
    one: ErrorDetails,
    document: Any,  # noqa: ANN401 -- any annotation
) -> tuple[str, FieldInfo | None, Mapping[str, FieldInfo]]:
    """Return where a mistake is as people write it, the field there, and the keys beside it."""
    models, field, names = [*_models(document)], None, ""
    fields = _fields(models)
    for part in one["loc"]:
        fields = _fields(models)
        tagged = [model for model in models if _tag(model) == part]
        if isinstance(part, int):
            names += f"[{part}]"
        elif tagged and len(models) > 1:
            models = tagged  # pydantic names which of several kinds it took the document for
        elif part in fields:
            field, names = fields[part], f"{names}.{part}"
            models = [*_models(field.annotation)]
        else:
            names += f".{part}"
    return names.removeprefix("."), field, fields


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 -- any annotation
    """Yield the models in an annotation: one of them, or of its items, is what was meant."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _fields(models: list[type[BaseModel]]) -> dict[str, FieldInfo]:
    return {
        field.alias or name: field  # as it is written in the document
        for model in models
        for name, field in model.model_fields.items()
    }


def _tag(model: type[BaseModel]) -> object:
    kind = model.model_fields.get("kind")
    return kind.default if kind else "table"  # schemas of tables are older than that field
