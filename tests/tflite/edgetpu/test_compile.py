"""`edgeseg compile`, with a program in the compiler's place that plays a recording."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from cards import FULL
from edgetpu_fakes import REFUSAL, compiled_model, fake_compiler, source_model
from tiny_tflite import conv_model

from edgeseg import card_file
from edgeseg.card_mark import unmarked
from edgeseg.errors import ConversionError, ModelFileError, UsageError
from edgeseg.tflite.edgetpu.compiler import compile_model, find
from edgeseg.tflite.graph import read_graph


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "city.tflite"
    path.parent.mkdir()
    path.write_bytes(card_file.attach(source_model(), FULL))
    return path


def test_the_card_is_carried_over_and_the_prediction_confirmed(model: Path, tmp_path: Path) -> None:
    compiler = fake_compiler(tmp_path / "bin", makes=compiled_model())
    done = compile_model(model, tmp_path / "out", compiler=compiler)
    assert done.file == tmp_path / "out" / "city_edgetpu.tflite"
    assert done.log.read_text().startswith("Edge TPU Compiler version 16")
    content, card = card_file.read_model(done.file)
    assert card is not None
    assert (card.name, card.recipe.name, card.recipe.target) == (FULL.name, FULL.recipe.name, "edgetpu")
    assert unmarked(bytes(card_file.graph_of(content))) == compiled_model()
    assert (done.report.mapped, done.report.cpu, done.prediction.mapped, done.differences) == (1, 1, 1, ())
    assert read_graph(done.file).main.operators[0].op == "edgetpu-custom-op"


def test_what_the_compiler_is_given(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    compile_model(model, compiler=fake_compiler(folder, makes=compiled_model()), timeout_s=33, multiple_subgraphs=True)
    words = (folder / "arguments.txt").read_text().split("\n")
    assert words[0] == "-s"
    assert words[3:7] == ["-d", "-t", "33", "-a"]
    assert (folder / "input.tflite").read_bytes() == source_model()  # without the card
    assert (model.parent / "city_edgetpu.tflite").is_file()


def test_an_older_compiler_is_not_given_options_it_lacks(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    compile_model(model, compiler=fake_compiler(folder, makes=compiled_model(), version="14.1.317412892"))
    words = (folder / "arguments.txt").read_text().split("\n")
    assert not {"-d", "-t"} & set(words)


def test_a_wrong_prediction_is_reported(model: Path, tmp_path: Path) -> None:
    done = compile_model(model, compiler=fake_compiler(tmp_path / "bin", makes=compiled_model(tail=False)))
    (difference,) = done.differences
    assert (difference.index, difference.op, difference.predicted, difference.mapped) == (1, "ARG_MAX", False, True)


def test_a_file_without_a_card_stays_without(tmp_path: Path) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(source_model())
    done = compile_model(path, compiler=fake_compiler(tmp_path / "bin", makes=compiled_model()))
    assert card_file.read_model(done.file)[1] is None


def test_a_refusal_leaves_nothing_behind(model: Path, tmp_path: Path) -> None:
    compiler = fake_compiler(tmp_path / "bin", says=REFUSAL, code=1)
    with pytest.raises(ConversionError, match=r"refuses .*city\.tflite: large activation tensors in model; try: "):
        compile_model(model, tmp_path / "out", compiler=compiler)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_success_without_a_file_is_a_failure(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="reports success and wrote no file"):
        compile_model(model, tmp_path / "out", compiler=fake_compiler(tmp_path / "bin"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_compiler_that_hangs_is_stopped(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.tflite.edgetpu.compiler.GRACE_S", 1.5)
    compiler = fake_compiler(tmp_path / "bin", makes=compiled_model(), sleep_s=60)
    started = time.perf_counter()
    with pytest.raises(ConversionError, match="did not end within 1 s"):
        compile_model(model, tmp_path / "out", compiler=compiler, timeout_s=1)
    assert time.perf_counter() - started < 20
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_result_is_not_kept(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        compile_model(model, tmp_path / "out", compiler=fake_compiler(tmp_path / "bin", makes=compiled_model()[:200]))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_compiled_file_is_not_compiled_again(tmp_path: Path) -> None:
    path = tmp_path / "done_edgetpu.tflite"
    path.write_bytes(compiled_model())
    with pytest.raises(UsageError, match="compiled for the Edge TPU already"):
        compile_model(path, compiler=fake_compiler(tmp_path / "bin"))


def test_where_the_compiler_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGETPU_COMPILER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UsageError, match=r"not installed: coral\.ai/docs/.* inspect --edgetpu needs no compiler"):
        find()
    program = fake_compiler(tmp_path / "bin")
    assert find() == program
    monkeypatch.setenv("EDGETPU_COMPILER", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match=r"no program .*elsewhere"):
        find()
    assert find(program) == program


def test_a_program_for_another_machine(model: Path, tmp_path: Path) -> None:
    program = tmp_path / "edgetpu_compiler"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + b"\0" * 200)
    program.chmod(0o755)
    with pytest.raises(UsageError, match="it is a program for x86-64 Linux"):
        compile_model(model, compiler=program)


def test_json_of_the_command(cli: Any, model: Path, tmp_path: Path) -> None:
    compiler = fake_compiler(tmp_path / "bin", makes=compiled_model())
    finished = cli("compile", model, "-o", tmp_path / "out", "--compiler", compiler, "--json")
    result = finished.json
    assert (result["mapped"], result["cpu"], result["on_chip_bytes"], result["off_chip_bytes"]) == (1, 1, 1536, 0)
    assert result["predicted"] == {"mapped": 1, "cpu": 1}
    assert result["differences"] == []
    assert Path(result["file"]).is_file()
    assert "as predicted" in finished.stderr


def test_the_command_without_a_compiler_is_one_line(cli: Any, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGETPU_COMPILER", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "edgeseg inspect --edgetpu needs no compiler" in cli("compile", model).error


def test_the_command_on_what_is_no_model(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(conv_model()[:100])
    assert "cut.tflite" in cli("compile", path, "--compiler", fake_compiler(tmp_path / "bin")).error
