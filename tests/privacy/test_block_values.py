from contextvars import ContextVar
from threading import Thread

import pytest

from privacy.block_values import value_in_block

PLACE: ContextVar[str] = ContextVar("place", default="outside")


def test_a_value_holds_within_its_block_and_is_what_it_was_after_it() -> None:
    seen = [PLACE.get()]
    with value_in_block(PLACE, "outer"):
        with value_in_block(PLACE, "inner"):
            seen.append(PLACE.get())
        seen.append(PLACE.get())
    assert [*seen, PLACE.get()] == ["outside", "inner", "outer", "outside"]


def test_an_error_ends_the_block_too_and_no_other_thread_sees_the_value() -> None:
    seen: list[str] = []

    def fail_within() -> None:
        with value_in_block(PLACE, "here"):
            other = Thread(target=lambda: seen.append(PLACE.get()))
            other.start()
            other.join()
            raise ValueError("over")

    with pytest.raises(ValueError, match="over"):
        fail_within()
    assert [*seen, PLACE.get()] == ["outside", "outside"]
