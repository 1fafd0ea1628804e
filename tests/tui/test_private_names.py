"""Private names of Textual that the dashboard uses: one, which `test_story` sees work."""

import ast
import functools
import inspect
import textwrap
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import tui

DEFENDED = {"_fatal_error"}
"""`test_screen_that_raises_shows_no_locals_and_lets_the_run_commit` fails when Textual renames it."""


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def names_in(tree):
    """Return the private names that are read, and those that are defined or assigned."""
    read, defined = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) != "os._exit":
            (read if isinstance(node.ctx, ast.Load) else defined).add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            defined.add(node.id)
    return set(filter(is_private, read)), set(filter(is_private, defined))


def test_no_private_name_is_read_that_the_dashboard_does_not_define():
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in Path(tui.__file__).parent.rglob("*.py")]
    reads, definitions = zip(*map(names_in, trees), strict=True)
    assert set().union(*reads) - set().union(*definitions) == set()


@functools.cache
def private_names_of(base):
    """Return the private names of a class: those of its own, and the attributes that its methods set."""
    _, assigned = names_in(ast.parse(textwrap.dedent(inspect.getsource(base))))
    return assigned - {"_"} | set(filter(is_private, vars(base)))


def test_no_private_name_of_textual_is_overridden_or_hidden_but_the_defended_one():
    modules = [import_module(found.name) for found in walk_packages(tui.__path__, "tui.")]
    overridden = set()
    for module in modules:
        for owner in vars(module).values():
            if inspect.isclass(owner) and owner.__module__ == module.__name__:
                _, own = names_in(ast.parse(inspect.getsource(owner)))
                foreign = [base for base in owner.__mro__ if base.__module__.startswith("textual")]
                overridden |= own & set().union(*map(private_names_of, foreign))
    assert overridden == DEFENDED
