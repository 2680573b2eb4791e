"""Documents with entities for tests, and the files that mark them by their places."""

from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from sites.text.iob2_tags import spans_of, tags_of
from tests.sites.text.test_iob2_tags import sentences

# Each is one word to our rule; some have two UTF-16 units or up to four bytes a character.
WORDS = ("fever", "naïve", "Crohn\u2019s", "😀", "\U0001d49c", "e\u0301tat", "β-blocker", "5", ",")


@dataclass(frozen=True)
class Marked:
    """A document of one line, with its entities as (type, start, end) in characters."""

    name: str
    text: str
    entities: tuple[tuple[str, int, int], ...]
    tokens: tuple[str, ...]
    tags: tuple[str, ...]


@st.composite
def documents(draw: st.DrawFn) -> list[Marked]:
    """Documents of one sentence each, named after their number from 1000."""
    made = draw(st.lists(sentences().filter(lambda one: one[1] > 0), min_size=1, max_size=4))
    found = []
    for number, (spans, n_words) in enumerate(made, start=1000):
        words = draw(st.lists(st.sampled_from(WORDS), min_size=n_words, max_size=n_words))
        starts = [sum(len(word) + 1 for word in words[:n]) for n in range(n_words)]
        tags = tags_of(spans, n_words)
        entities = tuple(
            (one.kind, starts[one.start], starts[one.end - 1] + len(words[one.end - 1]))
            for one in spans_of(tags)
        )
        found.append(Marked(str(number), " ".join(words), entities, tuple(words), tags))
    return found


def write_brat(folder: Path, documents: list[Marked]) -> None:
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for one in documents:
        (folder / f"{one.name}.txt").write_bytes(one.text.encode())
        lines = [
            f"T{number}\t{kind} {start} {end}\t{one.text[start:end]}\n"
            for number, (kind, start, end) in enumerate(one.entities, start=1)
        ]
        (folder / f"{one.name}.ann").write_bytes("".join(lines).encode())


def write_pubtator(file: Path, documents: list[Marked]) -> None:
    """Write each document as an abstract, below the title `A title`."""
    shift = len("A title") + 1
    blocks = [
        f"{one.name}|t|A title\n{one.name}|a|{one.text}\n"
        + "".join(
            f"{one.name}\t{start + shift}\t{end + shift}\t{one.text[start:end]}\t{kind}\tD1\n"
            for kind, start, end in one.entities
        )
        for one in documents
    ]
    file.write_bytes("\n".join(blocks).encode())
