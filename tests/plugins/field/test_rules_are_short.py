"""A published rule is read beside its paper: 60 lines of code at most, its parameters and their sources aside."""

import ast
import inspect

import pytest

from cachekit.registry.plugins import get_plugins

FIELD = [
    *("fbcache", "dbcache", "dicache", "easycache", "seacache", "sencache", "adacache", "speca", "interval"),
    *("cem", "dpcache", "lemica", "budcache", "l2p", "meancache", "magcache", "teacache"),
]


def rule_lines(kind):
    """Lines of the class's methods that hold code."""
    source = inspect.getsource(kind).splitlines()
    (tree,) = ast.parse("\n".join(source)).body
    methods = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    lines = {line for node in methods for line in range(node.lineno, node.end_lineno + 1)}
    for node in methods:
        if ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return [line for line in lines if source[line - 1].strip() and not source[line - 1].strip().startswith("#")]


@pytest.mark.parametrize("name", FIELD)
def test_the_rule_is_at_most_sixty_lines(name):
    assert 0 < len(rule_lines(get_plugins().strategies[name].value)) <= 60
