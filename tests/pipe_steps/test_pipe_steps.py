import subprocess
import sys

import pytest

import engine
import pipe_steps


def test_it_hands_on_the_names_of_the_seed():
    assert pipe_steps.__all__ == [
        "AddColumnBatchStep",
        "Batch",
        "BatchPipeline",
        "BatchStep",
        "DropNullsBatchStep",
        "Frontier",
    ]


@pytest.mark.parametrize("name", pipe_steps.__all__)
def test_each_name_is_the_engine_s(name):
    assert getattr(pipe_steps, name) is getattr(engine, name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="pipe_steps"):
        pipe_steps.Nothing  # noqa: B018 (the look itself is tested)


@pytest.mark.integration
def test_importing_it_loads_neither_polars_nor_duckdb():
    program = "import sys, pipe_steps; print({'polars', 'duckdb', 'textual', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
