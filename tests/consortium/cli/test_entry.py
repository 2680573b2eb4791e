import gc
import weakref

from consortium.cli.entry import search_garbage_rarely


class Node:
    """Something that can refer to itself."""

    itself: "Node"


def test_a_cycle_is_still_found_though_python_looks_less_often() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)  # another test of this process may have called the entry
        search_garbage_rarely()
        assert gc.get_threshold()[0] > 700
        node = Node()
        node.itself = node
        gone = weakref.ref(node)
        del node
        kept: list[list[int]] = [[] for _ in range(2 * gc.get_threshold()[0])]
        assert kept
        assert gone() is None
    finally:
        gc.set_threshold(*before)
