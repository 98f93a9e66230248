"""The syntax of a regular expression goes in; in how many ways `re` may read it comes out."""

from __future__ import annotations

from typing import Any

Ways = tuple[int, int]
"""A number of ways, and how many endless repeats each multiply it by the length of the text."""

_COUNTLESS: Ways = (1, 100)
_MOST, _MOST_TIMES = 1_000_000, 20


def count_ways(nodes: Any) -> Ways:  # noqa: ANN401
    """Count the ways to read nodes one after the other, from one place on."""
    ways, repeats = 1, 0
    for node, argument in nodes:
        more, further = _count(str(node), argument)
        ways, repeats = ways * more, repeats + further
        if repeats >= _COUNTLESS[1] or ways > _MOST:
            return _COUNTLESS
    return ways, repeats


def _count(node: str, argument: Any) -> Ways:  # noqa: ANN401
    if node == "SUBPATTERN":
        return count_ways(argument[-1])
    if node == "BRANCH":
        counted = [count_ways(nodes) for nodes in argument[1]]
        return sum(ways for ways, _ in counted), max(repeats for _, repeats in counted)
    if node in {"MAX_REPEAT", "MIN_REPEAT"}:
        low, high, nodes = argument
        ways, repeats = count_ways(nodes)
        endless = str(high) == "MAXREPEAT"
        if (ways, repeats) == (1, 0):
            return (1, 1) if endless else (high - low + 1, 0)
        if endless or repeats or high > _MOST_TIMES:
            return _COUNTLESS
        return sum(ways**times for times in range(low, high + 1)), 0
    return 1, 0
