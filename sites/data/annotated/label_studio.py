"""Read JSON that Label Studio exports: tasks with a text, and labels of parts of it.

Format: https://labelstud.io/guide/export ("JSON"). A task has `data` with the text, and
`annotations`, one for each person who annotated it; each has in `result` labels with `start`, `end`
and mostly the words. The format does not say what is counted, and versions differ: see
`sites.data.annotated.units`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from sites.data.annotated.texts import (
    AnnotatedText,
    Annotation,
    BadAnnotations,
    read_characters,
)
from sites.data.annotated.units import with_character_positions
from sites.data.tables import BrokenFile

_LABELS = "labels"  # the type of a result that labels a part of a text


class _Place(BaseModel):
    start: int
    end: int
    text: str
    labels: list[str] = Field(min_length=1, max_length=1)


class _Result(BaseModel):
    id: str = ""
    type: str
    value: Any = None


class _Annotated(BaseModel):
    result: list[_Result]
    was_cancelled: bool = False


class _Task(BaseModel):
    id: Annotated[str, Field(coerce_numbers_to_str=True, min_length=1)]
    data: dict[str, Any]
    annotations: list[_Annotated]


_TASKS = TypeAdapter(list[_Task])


def read_label_studio(file: Path, *, tagged: bool) -> Iterator[AnnotatedText]:
    """Yield the texts of a file's tasks, in order.

    The text is `text` of the task's `data`, or the one text that is there.

    Args:
        file: The file.
        tagged: Whether what was marked is read.

    Raises:
        BrokenFile: It is not UTF-8, or not an export of tasks; or a task has no text, or several.
        BadAnnotations: A task was annotated by nobody or by several, a part of a text has several
            labels, or the text holds something else at its place, in any unit.
    """
    try:
        tasks = _TASKS.validate_python(json.loads(read_characters(file)))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BrokenFile(f"{file.name} is not JSON: export it again") from error
    except ValidationError as error:
        raise BrokenFile(f"{file.name} is no export of tasks: {_first(error)}") from None
    yield from with_character_positions([_text(one, file, tagged=tagged) for one in tasks])


def _text(task: _Task, file: Path, *, tagged: bool) -> AnnotatedText:
    place = f"{file.name} task {task.id}"
    texts = [one for one in task.data.values() if isinstance(one, str)]
    text = task.data.get("text", texts[0] if len(texts) == 1 else None)
    if not isinstance(text, str):
        raise BrokenFile(f"{place} has {len(texts)} texts in its data: call the one to read 'text'")
    return AnnotatedText(
        document=task.id,
        text=text,
        annotations=tuple(_annotations(task, place)) if tagged else (),
        place=place,
    )


def _annotations(task: _Task, place: str) -> Iterator[Annotation]:
    done = [one for one in task.annotations if not one.was_cancelled]
    if len(done) != 1:
        raise BadAnnotations(
            f"{place} was annotated {len(done)} times: export tasks with exactly one annotation "
            "that was not skipped"
        )
    for result in done[0].result:
        if result.type.endswith(_LABELS) and result.type != _LABELS:
            raise BadAnnotations(
                f"{place} result {result.id} labels something else than plain text "
                f"({result.type}): only results of the type '{_LABELS}' can be read"
            )
        if result.type != _LABELS:
            continue  # a choice or a relation, which mark no part of the text
        try:
            found = _Place.model_validate(result.value)
        except ValidationError as error:
            raise BadAnnotations(f"{place} result {result.id}: {_first(error)}") from None
        yield Annotation(
            kind=found.labels[0],
            parts=((found.start, found.end),),
            says=found.text,
            place=f"{place} result {result.id}",
        )


def _first(error: ValidationError) -> str:
    """Return the first mistake, without what was given."""
    mistake = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}"
