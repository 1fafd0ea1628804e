from __future__ import annotations

import os
import pathlib
import sys
import textwrap

import pytest

from engine import BatchPipeline
from engine.errors import TargetNotFound, UsageError
from engine.loading.target import load

PIPELINE = """
import polars as pl
from engine import BatchPipeline, DropNullsBatchStep, FrameFetcher

pipeline = BatchPipeline([DropNullsBatchStep("drop")], FrameFetcher(pl.DataFrame({"x": [1, 2]})), 10, "cp")
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files into the current folder, whose imports are forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    yield write
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refused(target):
    with pytest.raises(TargetNotFound) as caught:
        load(target)
    return caught.value


# --- what can be named ----------------------------------------------------------------------------------


def test_a_file_gives_its_pipeline(write):
    write("flights.py", PIPELINE)
    assert [step.name for step in load("flights.py").steps] == ["drop"]


def test_a_file_is_found_by_its_whole_path(write):
    assert isinstance(load(str(write("flights.py", PIPELINE))), BatchPipeline)


def test_another_name_stands_behind_a_colon(write):
    write("flights.py", PIPELINE + "other = pipeline.with_options(batch_size=3)\n")
    assert load("flights.py:other").batch_size == 3


def test_a_function_without_arguments_is_called(write):
    write("flights.py", PIPELINE + "def build(size=7):\n    return pipeline.with_options(batch_size=size)\n")
    assert load("flights.py:build").batch_size == 7


def test_a_module_is_found_by_its_dotted_name(write):
    write("shop/__init__.py", "")
    write("shop/limits.py", "SIZE = 5\n")
    write("shop/sales.py", PIPELINE + "from .limits import SIZE\npipeline = pipeline.with_options(batch_size=SIZE)\n")
    assert load("shop.sales:pipeline").batch_size == 5
    assert load("shop.sales").batch_size == 5


def test_the_sample_is_found_wherever_one_stands(write):
    assert load("sample_data.flights:build").name == "flights"


def test_a_dataclass_in_the_file_finds_its_module(write):
    write(
        "flights.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + PIPELINE
        + "@dataclass\nclass Settings:\n    size: int = 1\n",
    )
    assert isinstance(load("flights.py"), BatchPipeline)


# --- loaded anew each time ------------------------------------------------------------------------------


def test_an_edit_counts_at_once_even_within_the_same_second_and_at_the_same_length(write):
    path = write("flights.py", PIPELINE)
    moment = (1_700_000_000, 1_700_000_000)
    os.utime(path, moment)
    load("flights.py")
    path.write_text(PIPELINE.replace('"drop"', '"grop"'), encoding="utf-8")
    os.utime(path, moment)
    assert [step.name for step in load("flights.py").steps] == ["grop"]


def test_an_edit_in_a_helper_beside_the_file_counts_too(write):
    write("flights.py", "from limits import SIZE\n" + PIPELINE + "pipeline = pipeline.with_options(batch_size=SIZE)\n")
    write("limits.py", "SIZE = 3\n")
    assert load("flights.py").batch_size == 3
    write("limits.py", "SIZE = 4_000\n")
    assert load("flights.py").batch_size == 4_000


def test_loading_leaves_no_bytecode_behind(write, tmp_path):
    write("flights.py", "import limits\n" + PIPELINE)
    write("limits.py", "")
    load("flights.py")
    assert not list(tmp_path.rglob("*.pyc"))


def test_two_loads_don_t_share_their_module(write):
    write("flights.py", PIPELINE)
    assert load("flights.py").steps[0] is not load("flights.py").steps[0]


def test_an_import_inside_a_function_works_after_the_load(write):
    write("late.py", "SIZE = 9\n")
    write("flights.py", PIPELINE + "def size():\n    import late\n    return late.SIZE\npipeline.size = size\n")
    assert load("flights.py").size() == 9


def test_an_import_that_was_there_before_is_not_loaded_again(write):
    import engine.steps as before

    write("flights.py", PIPELINE)
    load("flights.py")
    load("flights.py")
    assert sys.modules["engine.steps"] is before


def test_the_folder_is_first_on_the_path_only_while_loading(write, tmp_path):
    write("flights.py", "import sys\nFIRST = sys.path[0]\n" + PIPELINE + "pipeline.first = FIRST\n")
    assert load("flights.py").first == str(tmp_path)
    assert sys.path[0] != str(tmp_path)


# --- what is told when it can't be ----------------------------------------------------------------------


def test_a_missing_file_is_told_with_the_nearest_name(write):
    write("flights.py", PIPELINE)
    error = refused("flight.py")
    assert str(error) == "the file flight.py does not exist"
    assert error.hint == "Did you mean flights.py?"


def test_a_folder_is_no_file(write, tmp_path):
    (tmp_path / "folder.py").mkdir()
    assert str(refused("folder.py")) == "the file folder.py is a folder"


def test_a_file_of_another_kind_is_refused(write):
    write("flights.txt", "")
    assert str(refused("flights.txt")) == "flights.txt is not a Python file"


def test_a_missing_module_is_told(write):
    assert str(refused("nowhere.flights:pipeline")) == "there is no module nowhere"


def test_a_missing_submodule_is_told(write):
    assert str(refused("sample_data.fligths:pipeline")) == "there is no module sample_data.fligths"


@pytest.mark.parametrize("target", ["flights.py:", ":pipeline", "flights.py:my-name", "a b:c d"])
def test_what_is_no_target_is_told(write, target):
    assert "doesn't name a pipeline" in str(refused(target))


def test_a_missing_name_is_told_with_what_is_there(write):
    write(
        "flights.py",
        PIPELINE.replace("pipeline =", "sales =")
        + "def build():\n    return sales\ndef needs(limit):\n    return sales\n_hidden = sales\n",
    )
    error = refused("flights.py")
    assert str(error) == "flights.py has no name 'pipeline'"
    assert error.hint == "It has sales, build: try flights.py:sales"


def test_a_file_without_any_pipeline_is_told_how_to_have_one(write):
    write("flights.py", "x = 1\n")
    assert "pipeline = BatchPipeline(...)" in refused("flights.py").hint


def test_something_else_under_the_name_is_told(write):
    write("flights.py", "pipeline = [1, 2]\n")
    assert str(refused("flights.py")) == "flights.py:pipeline is a list, not a BatchPipeline"


def test_a_function_that_needs_arguments_is_told(write):
    write("flights.py", PIPELINE + "def build(limit):\n    return pipeline\n")
    error = refused("flights.py:build")
    assert str(error) == "flights.py:build can't be called without arguments"
    assert error.hint == "It has pipeline: try flights.py:pipeline"


@pytest.mark.parametrize(("returned", "what"), [("None", "nothing (None)"), ("{}", "a dict")])
def test_a_function_that_returns_something_else_is_told(write, returned, what):
    write("flights.py", f"def pipeline():\n    return {returned}\n")
    assert str(refused("flights.py")) == f"flights.py:pipeline returned {what} instead of a BatchPipeline"


def test_an_error_in_the_file_is_told_with_their_line_and_chained(write):
    write("flights.py", "a = 1\nb = 0\nc = a / b\n")
    error = refused("flights.py")
    assert str(error) == "flights.py fails on line 3: ZeroDivisionError: division by zero"
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_an_error_deep_inside_a_call_is_told_with_the_line_of_their_file(write):
    write("flights.py", "import json\n\njson.loads('{')\n")
    assert "flights.py fails on line 3: JSONDecodeError" in str(refused("flights.py"))


def test_a_syntax_error_is_told_with_its_line(write):
    write("flights.py", "a = 1\nb = (\n")
    assert "flights.py fails on line 2: SyntaxError" in str(refused("flights.py"))


def test_an_error_in_the_function_is_told_with_its_line(write):
    write("flights.py", "def pipeline():\n    return {}['limit']\n")
    assert str(refused("flights.py")) == "flights.py:pipeline fails on line 2: KeyError: 'limit'"


def test_a_missing_package_is_told_with_where_to_install_it(write):
    write("flights.py", "import no_such_package_here\n")
    error = refused("flights.py")
    assert "fails on line 1: ModuleNotFoundError" in str(error)
    assert sys.executable in error.hint


def test_a_package_that_fails_on_import_is_told(write):
    write("shop/__init__.py", "1 / 0\n")
    write("shop/sales.py", PIPELINE)
    assert "ZeroDivisionError" in str(refused("shop.sales:pipeline"))


def test_a_script_that_exits_is_told(write):
    write("flights.py", "import sys\nsys.exit(3)\n")
    error = refused("flights.py")
    assert "fails on line 2: SystemExit" in str(error)
    assert "__main__" in error.hint


def test_a_wrong_definition_keeps_its_own_error_and_gets_the_line(write):
    write("flights.py", PIPELINE.replace('[DropNullsBatchStep("drop")]', '[DropNullsBatchStep("drop")] * 2'))
    with pytest.raises(UsageError, match="two steps are called 'drop'") as caught:
        load("flights.py")
    assert caught.value.__notes__ == ["in flights.py, line 5"]


def test_secrets_in_their_errors_are_masked(write):
    write("flights.py", "raise ValueError('postgresql://ann:hunter2@db/sales')\n")
    assert "hunter2" not in str(refused("flights.py"))


def test_a_failed_load_leaves_the_path_as_it_was(write, tmp_path):
    write("flights.py", "1 / 0\n")
    refused("flights.py")
    assert sys.path[0] != str(tmp_path)
    assert sys.path.count(str(pathlib.Path.cwd())) <= 1
