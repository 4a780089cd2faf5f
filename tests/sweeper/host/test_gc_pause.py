"""When Python searches for garbage."""

import gc
import weakref

import pytest

from sweeper.host.gc_pause import collect_all, paused


class Node:
    """Something that can be in a cycle and be watched."""


def test_no_search_while_paused_and_the_setting_is_put_back():
    assert gc.isenabled()
    with pytest.raises(KeyError), paused():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


@pytest.mark.slow
def test_every_cycle_is_gone_after_it():
    with paused():
        node = Node()
        node.itself, gone = node, weakref.ref(node)
        del node
        assert gone() is not None
        collect_all()
        assert gone() is None
