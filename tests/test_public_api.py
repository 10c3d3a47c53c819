"""The names that users import, and what importing them costs."""

import ast
import inspect

import pytest

import edgeseg

HEAVY = ("tensorflow", "keras", "tf_keras", "cv2", "ai_edge_litert", "tflite_runtime", "PIL", "numpy")


@pytest.mark.parametrize("name", edgeseg.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(edgeseg, name)
    assert name == "__version__" or inspect.getdoc(value)


def test_the_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(inspect.getsource(edgeseg))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    assert typed == edgeseg._HOME
    assert sorted({*edgeseg._HOME, "__version__"}) == sorted(edgeseg.__all__)


def test_dir_lists_the_public_names_before_their_first_use(python) -> None:
    done = python("-c", "import edgeseg; assert set(edgeseg.__all__) <= set(dir(edgeseg))")
    assert done.exit_code == 0, done.stderr


def test_former_names_still_work() -> None:
    from edgeseg.scoring import measures

    assert edgeseg.PictureRecord is edgeseg.ImageRecord
    assert measures.worst_pictures is measures.worst_images
    assert edgeseg.Survey(images=()).pictures == ()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Segmentor'"):
        edgeseg.Segmentor  # noqa: B018


@pytest.mark.parametrize("statement", ["import edgeseg", "from edgeseg import EdgesegError, ModelCard, read_model"])
def test_importing_edgeseg_imports_nothing_heavy(python, statement: str) -> None:
    done = python("-c", f"import sys; {statement}; print(*(n for n in {HEAVY} if n in sys.modules))")
    assert done.stdout == "\n", done.stderr
