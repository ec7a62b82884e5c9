"""The gate: whoever renames a directory has all below it alone, and nobody waits for ever."""

import dataclasses
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from ossfs.vfs.gate import TreeGate, upwards
from ossfs.vfs.node import Node
from ossfs.vfs.remote import Defaults
from ossfs.vfs.tree import Tree

DEFAULTS = Defaults(uid=0, gid=0)


def make_tree(parents: list[int]) -> list[Node]:
    """Nodes of which the n-th stands in the one at parents[n - 1] % n."""
    attributes = DEFAULTS.for_object(DEFAULTS.directory_mode, 0)
    tree = Tree("", attributes)
    nodes = [tree.root]
    for number, parent in enumerate(parents, 1):
        node = tree.new(str(number), attributes)
        tree.attach(nodes[parent % number], node.name, node)
        nodes.append(node)
    return nodes


@dataclasses.dataclass
class Watched:
    """A gate, with who is in it."""

    gate: TreeGate = dataclasses.field(default_factory=TreeGate)
    shared: list[Node] = dataclasses.field(default_factory=list)
    exclusive: list[tuple[Node, tuple[Node, ...]]] = dataclasses.field(default_factory=list)

    def check(self) -> None:
        for number, (top, _) in enumerate(self.exclusive):
            for node in self.shared:
                assert top not in upwards(node)
            for other, held in self.exclusive[number + 1 :]:
                assert top not in upwards(other)
                assert other not in upwards(top)
                for node in held:
                    assert top not in upwards(node)

    @asynccontextmanager
    async def in_shared(self, nodes: list[Node]) -> AsyncIterator[None]:
        async with self.gate.shared(*nodes):
            self.shared += nodes
            self.check()
            yield
            self.check()
            for node in nodes:
                self.shared.remove(node)

    @asynccontextmanager
    async def in_exclusive(self, top: Node, others: list[Node]) -> AsyncIterator[None]:
        async with self.gate.exclusive(top, *others):
            entry = (top, tuple(others))
            self.exclusive.append(entry)
            self.check()
            yield
            self.check()
            self.exclusive.remove(entry)


HOLDERS = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 9),
        st.lists(st.integers(0, 9), max_size=3),
        st.floats(0, 3),
        st.floats(0, 3),
        st.one_of(st.none(), st.floats(0, 4)),
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(
    parents=st.lists(st.integers(0, 9), min_size=9, max_size=9),
    holders=HOLDERS,
    clock=st.builds(MockClock, autojump_threshold=st.just(0.0)),
)
async def test_nobody_is_below_an_exclusive_holder_and_all_come_to_their_turn(
    parents: list[int],
    holders: list[tuple[bool, int, list[int], float, float, float | None]],
    clock: MockClock,
) -> None:
    nodes, watched = make_tree(parents), Watched()

    async def hold(
        exclusive: bool,
        first: int,
        others: list[int],
        begin: float,
        last: float,
        give_up: float | None,
    ) -> None:
        await trio.sleep(begin)
        top, rest = nodes[first], [nodes[other] for other in others]
        with trio.move_on_after(1000 if give_up is None else give_up):
            async with AsyncExitStack() as stack:
                if exclusive:
                    # Nothing moves into itself, so the others are not below the top.
                    rest = [node for node in rest if top not in upwards(node)]
                    await stack.enter_async_context(watched.gate.exclusive(top, *rest))
                    watched.exclusive.append((top, tuple(rest)))
                    stack.callback(watched.exclusive.remove, (top, tuple(rest)))
                else:
                    await stack.enter_async_context(watched.gate.shared(top, *rest))
                    for node in (top, *rest):
                        watched.shared.append(node)
                        stack.callback(watched.shared.remove, node)
                watched.check()
                await trio.sleep(last)
                watched.check()

    with trio.fail_after(500):
        async with trio.open_nursery() as nursery:
            for holder in holders:
                nursery.start_soon(hold, *holder)
    assert not watched.gate._exclusive
    assert not watched.gate._shared


async def test_an_exclusive_holder_waits_for_those_that_began_before_it_and_stops_later_ones() -> (
    None
):
    root, top, below, beside = make_tree([0, 1, 0])
    gate = TreeGate()
    order: list[str] = []

    async def shared(name: str, node: Node) -> None:
        async with gate.shared(node):
            order.append(name)

    async def exclusive() -> None:
        async with gate.exclusive(top):
            order.append("exclusive")

    async with trio.open_nursery() as nursery, gate.shared(below):
        nursery.start_soon(exclusive)
        await wait_all_tasks_blocked()
        nursery.start_soon(shared, "below", below)
        nursery.start_soon(shared, "beside", beside)
        nursery.start_soon(shared, "root", root)
        await wait_all_tasks_blocked()
        assert sorted(order) == ["beside", "root"]
    assert order[2:] == ["exclusive", "below"]


async def test_a_holder_that_names_a_node_below_its_top_does_not_wait_for_itself() -> None:
    _, top, below = make_tree([0, 1])
    gate = TreeGate()
    with trio.fail_after(10):
        async with gate.exclusive(top, below, below):
            pass
    assert not gate._shared


async def test_random_shared_and_exclusive_holders_never_deadlock() -> None:
    chance = random.Random(7)
    nodes, watched = make_tree([0, 0, 1, 1, 2, 2, 3, 4, 5]), Watched()

    async def work() -> None:
        for _ in range(50):
            node, other = chance.choice(nodes), chance.choice(nodes)
            if chance.random() < 0.3 and node not in upwards(other):
                async with watched.in_exclusive(node, [other]):
                    await trio.sleep(chance.random())
            else:
                async with watched.in_shared([node, other]):
                    await trio.sleep(chance.random())

    with trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(work)
