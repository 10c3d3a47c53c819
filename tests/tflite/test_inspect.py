"""`edgeseg inspect`: its JSON, what it prints for people, its speed, and its errors."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from cards import FULL
from commands import ROOT
from edgetpu_fakes import compiled_model, source_model
from tiny_tflite import TinyModel

from edgeseg import card_file
from edgeseg.tflite.summary import summarize


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "city.tflite"
    path.write_bytes(card_file.attach(source_model(), FULL))
    return path


def test_json(cli: Any, model: Path) -> None:
    result = cli("inspect", model, "--json").json
    conv, argmax = result["ops"]
    assert (conv["index"], conv["op"], conv["version"], conv["mapped"], conv["reason"]) == (0, "CONV_2D", 3, True, None)
    assert (argmax["index"], argmax["op"], argmax["mapped"]) == (1, "ARG_MAX", False)
    assert argmax["reason"] == "the Edge TPU has no such operator"
    assert argmax["evidence"] == "documented"
    assert {key: result["edgetpu"][key] for key in ("mapped", "cpu", "subgraphs", "rejected")} == {
        "mapped": 1, "cpu": 1, "subgraphs": 1, "rejected": None,
    }  # fmt: skip
    assert result["edgetpu"]["cuts"] == [{"tensor": "features", "bytes": 256, "producer": 0, "readers": [1]}]
    assert result["card"]["name"] == FULL.name
    assert result["inputs"] == [
        {"name": "image", "shape": [1, 8, 8, 3], "dtype": "int8", "scale": 0.5, "zero_point": 0}
    ]
    assert result["xnnpack"] == {"delegated": 1, "nodes": 1, "macs_share": 1.0}
    assert result["macs"] == 8 * 8 * 4 * 27
    assert (result["float_ops"], result["custom_ops"]) == ([], [])
    assert {guess["target"] for guess in result["latency_estimates"]} == {"pi4", "edgetpu_pcie"}
    assert {board["target"] for board in result["latency_withheld"]} == {"pi5", "edgetpu_usb3", "edgetpu_usb2"}


def test_json_into_a_file(cli: Any, model: Path, tmp_path: Path) -> None:
    finished = cli("inspect", model, "--json", tmp_path / "city.json")
    assert finished.stdout == ""
    assert '"CONV_2D"' in (tmp_path / "city.json").read_text()


def test_what_people_read(cli: Any, model: Path) -> None:
    said = cli("inspect", model, "--edgetpu").stderr
    for piece in (
        FULL.name,
        "int8 1x8x8x3",
        "CONV_2D",
        "XNNPACK (predicted)",
        "1 of 2 operators",
        "the Edge TPU has no such operator (documented: Coral)",
        "cut at features (256 B), after operator 0",
        "edgeseg convert --output logits",
        "rough estimates",
        "median",
    ):
        assert piece in said, piece


def test_one_line_for_each_operator_on_demand(cli: Any, model: Path) -> None:
    said = cli("inspect", model, "--all").stderr
    assert "CONV_2D 3" in said
    assert "int32 1x8x8" in said


def test_seventy_operators_stay_readable(cli: Any, test_data: Path) -> None:
    (path,) = test_data.glob("backbones/deeplabv3_mnv2_dm05*.tflite")
    said = cli("inspect", path, "--edgetpu").stderr
    assert len(said.splitlines()) < 60
    assert "36 of 38" in said  # convolutions on the Edge TPU


def test_multiple_subgraphs(cli: Any, test_data: Path) -> None:
    (path,) = test_data.glob("backbones/deeplabv3_mnv2_dm05*.tflite")
    one = cli("inspect", path, "--json").json["edgetpu"]
    many = cli("inspect", path, "--multiple-subgraphs", "--json").json["edgetpu"]
    assert (one["mapped"], one["subgraphs"]) == (64, 1)
    assert (many["mapped"], many["subgraphs"]) == (69, 2)


def test_a_compiled_file(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "city_edgetpu.tflite"
    path.write_bytes(compiled_model(runtime=13))
    finished = cli("inspect", path, "--json")
    result = finished.json
    assert [op["mapped"] for op in result["ops"]] == [True, False]
    (package,) = result["edgetpu"]["packages"]
    assert (package["min_runtime_version"], package["cached_bytes"], package["streamed_bytes"]) == (13, 640, 0)
    assert [program["type"] for program in package["executables"]] == ["EXECUTION_ONLY", "PARAMETER_CACHING"]
    assert "runtime 13 or newer" in finished.stderr
    assert "640 B cached on the chip" in finished.stderr


def test_float_leftovers_and_a_refused_file(cli: Any, tmp_path: Path) -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4), "float32"), tiny.tensor((1, 4), "float32")
    tiny.op("RELU", [image], [out])
    path = tmp_path / "float.tflite"
    path.write_bytes(tiny.content([image], [out]))
    finished = cli("inspect", path, "--json", "--edgetpu")
    assert finished.json["float_ops"] == [0]
    assert "Model not quantized" in finished.json["edgetpu"]["rejected"]
    assert "1 operators compute in float: RELU" in finished.stderr
    assert "edgeseg convert --int8" in finished.stderr


INT8_FILES = sorted((ROOT / "models").glob("*/*_int8_*.tflite"))


@pytest.mark.parametrize("file", INT8_FILES, ids=lambda file: file.parent.name)
def test_the_zoos_int8_files_hold_integers_alone_in_versions_that_the_edge_tpu_compiler_knows(file: Path) -> None:
    found = summarize(file)["integers"]
    assert found["only"]
    assert found["types"].keys() == {"int8", "int32", "uint8"}
    assert found["unknown_versions"] == []


def test_what_proves_a_file_all_integer_and_what_does_not(cli: Any, tmp_path: Path) -> None:
    assert len(INT8_FILES) > 10
    told = cli("inspect", INT8_FILES[0]).stderr
    assert "Integers  only: the tensors are 70 int32, 151 int8, 1 uint8; Edge TPU compiler 16 knows all" in told
    tiny = TinyModel()
    image, hidden, out = tiny.tensor((1, 4)), tiny.tensor((1, 4), "float32"), tiny.tensor((1, 4), "float32")
    tiny.op("DEQUANTIZE", [image], [hidden])
    tiny.op("RELU", [hidden], [out], version=9)
    path = tmp_path / "mixed.tflite"
    path.write_bytes(tiny.content([image], [out]))
    finished = cli("inspect", path, "--json")
    assert finished.json["integers"] == {"only": False, "types": {"float32": 2, "int8": 1}, "unknown_versions": [1]}
    assert "Integers  not only: the tensors are 2 float32, 1 int8" in finished.stderr
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4)), tiny.tensor((1, 4))
    tiny.op("RELU", [image], [out], version=9)
    path.write_bytes(tiny.content([image], [out]))
    assert "Integers  only: the tensors are 2 int8; Edge TPU compiler 16 does not know RELU 9" in (
        cli("inspect", path).stderr
    )


def test_markup_in_names_is_shown_as_it_is(cli: Any, tmp_path: Path) -> None:
    tiny = TinyModel(description="[red]not markup[/]")
    image, out = tiny.tensor((1, 4), name="[bold]x[/bold]"), tiny.tensor((1, 4))
    tiny.op("[/]", [image], [out])
    path = tmp_path / "[odd].tflite"
    path.write_bytes(tiny.content([image], [out]))
    said = cli("inspect", path, "--edgetpu", "--all").stderr
    assert "[red]not markup[/]" in said
    assert "[bold]x[/bold]" in said


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"x" * 5000])
def test_what_is_no_model_is_one_line(cli: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.tflite"
    path.write_bytes(content)
    assert "image.tflite: not a .tflite file" in cli("inspect", path).error


def test_a_flipped_byte_in_a_file_with_a_card_is_noticed(cli: Any, model: Path) -> None:
    content = bytearray(model.read_bytes())
    weights = content.index(b"\x01" * 64)
    content[weights] ^= 4
    model.write_bytes(bytes(content))
    assert "damaged" in cli("inspect", model).error


def test_speed_and_imports_of_a_5_mb_model(python: Any, tmp_path: Path) -> None:
    """Without TensorFlow and OpenCV, and in little time, starting Python included."""
    tiny = TinyModel()
    tensors = [tiny.tensor((1, 32, 32, 64)) for _ in range(71)]
    for before, after in itertools.pairwise(tensors):
        weights = tiny.tensor((64, 3, 3, 64), data=b"\1" * 64 * 64 * 9 * 2)
        tiny.op("CONV_2D", [before, weights], [after], options="Conv2DOptions", strideW=1, strideH=1)
    path = tmp_path / "large.tflite"
    path.write_bytes(tiny.content([tensors[0]], [tensors[-1]]))
    assert path.stat().st_size > 5_000_000
    code = (
        "import resource, sys\n"
        "from edgeseg.cli import main\n"
        "try: main(['inspect', sys.argv[1], '--edgetpu'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'ai_edge_litert'} & set(sys.modules)\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, peak, sorted(heavy))\n"
    )
    finished = python("-c", code, path)
    assert finished.exit_code == 0, finished.stderr
    seconds, kilobytes, heavy = finished.stdout.split(maxsplit=2)
    assert heavy.strip() == "[]"
    assert float(seconds) < 0.8  # 0.35 on an idle machine; sharing a core with another program slows the caches
    assert int(kilobytes) < 200_000
