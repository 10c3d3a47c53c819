"""What the compiler prints, all versions: two whole recordings, and the pieces quoted in its issue tracker."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgetpu_fakes import REFUSAL, SUCCESS

from edgeseg.tflite.edgetpu.log import Row, failure, parse_log, parse_output

KIB, MIB = 1 << 10, 1 << 20


def test_recorded_log_of_version_14(test_data: Path) -> None:
    text = (test_data / "edgetpu" / "logs" / "v14.1_tiny_yolo_edgetpu.log").read_text()
    (report,) = parse_log(text)
    assert (report.compiler_version, report.input, report.output) == (
        "14.1.317412892", "tiny_yolo.tflite", "tiny_yolo_edgetpu.tflite",
    )  # fmt: skip
    assert report.rows == (
        Row(op="CONCATENATION", count=1, status="More than one subgraph is not supported"),
        Row(op="MAX_POOL_2D", count=6, status="Mapped to Edge TPU"),
        Row(op="RESIZE_NEAREST_NEIGHBOR", count=1, status="Operation version not supported"),
        Row(op="CONV_2D", count=11, status="Mapped to Edge TPU"),
        Row(op="CONV_2D", count=2, status="More than one subgraph is not supported"),
        Row(
            op="QUANTIZE",
            count=1,
            status="Operation is otherwise supported, but not mapped due to some unspecified limitation",
        ),
        Row(op="QUANTIZE", count=1, status="More than one subgraph is not supported"),
        Row(op="QUANTIZE", count=2, status="Mapped to Edge TPU"),
    )
    assert (report.total, report.mapped, report.cpu) == (25, 19, 6)


def test_recorded_output_of_version_16(test_data: Path) -> None:
    text = (test_data / "edgetpu" / "logs" / "v16_stdout_not_padded_s_d_a.log").read_text()
    (report,) = parse_output(text)
    assert (report.compiler_version, report.milliseconds, report.input, report.output) == (
        "16.0.384591198", 986, "model_input/model.tflite", "model_output/model_edgetpu.tflite",
    )  # fmt: skip
    assert report.on_chip_bytes == round(3.86 * MIB)
    assert report.on_chip_remaining_bytes == round(3.83 * MIB)
    assert (report.off_chip_bytes, report.subgraphs, report.total) == (0, 1, 134)
    assert (report.mapped, report.cpu, len(report.rows)) == (134, 0, 9)
    assert sum(row.count for row in report.rows) == 134
    assert report.rows[0] == Row(op="ADD", count=12, status="Mapped to Edge TPU")


V2_0 = """\
Edge TPU Compiler version 2.0.291256449

Model compiled successfully in 161 ms.

Input model: retinaface_landmark_320_240_quant.tflite
Input size: 478.66KiB
Output model: retinaface_landmark_320_240_quant_edgetpu.tflite
Output size: 537.74KiB
On-chip memory available for caching model parameters: 7.69MiB
On-chip memory used for caching model parameters: 729.50KiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 90
Operation log: retinaface_landmark_320_240_quant_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will ...
Number of operations that will run on Edge TPU: 39
Number of operations that will run on CPU: 51

Operator                       Count      Status

CONCATENATION                  6          More than one subgraph is not supported
"""


def test_version_2_says_available_in_place_of_remaining() -> None:
    (report,) = parse_output(V2_0)
    assert report.on_chip_remaining_bytes == round(7.69 * MIB)
    assert report.on_chip_bytes == round(729.5 * KIB)
    assert (report.total, report.mapped, report.cpu) == (90, 39, 51)


V2_1 = """\
Edge TPU Compiler version 2.1.302470888

Model compiled successfully in 12264 ms.

Input model: model2.tflite
Input size: 8.11MiB
Output model: model2_edgetpu.tflite
Output size: 9.47MiB
On-chip memory used for caching model parameters: 6.86MiB
On-chip memory remaining for caching model parameters: 7.75KiB
Off-chip memory used for streaming uncached model parameters: 1.22MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 93
Operation log: model2_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. ...
Number of operations that will run on Edge TPU: 83
Number of operations that will run on CPU: 10

Operator                       Count      Status

LOGISTIC                       1          More than one subgraph is not supported
ADD                            10         Mapped to Edge TPU
"""


def test_version_2_1_with_streamed_parameters() -> None:
    (report,) = parse_output(V2_1)
    assert (report.off_chip_bytes, report.on_chip_remaining_bytes) == (round(1.22 * MIB), round(7.75 * KIB))
    assert report.rows[1] == Row(op="ADD", count=10, status="Mapped to Edge TPU")
    assert (report.mapped, report.cpu, report.milliseconds) == (83, 10, 12_264)


CO_COMPILED = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Models compiled successfully in 524 ms.

Input model: temp_models/1.tflite
Input size: 1.91MiB
Output model: temp_models/co-compiled/2/1_edgetpu.tflite
Output size: 2.52MiB
On-chip memory used for caching model parameters: 2.27MiB
On-chip memory remaining for caching model parameters: 1.07MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 57
Operation log: temp_models/co-compiled/2/1_edgetpu.log
See the operation log file for individual operation details.

Input model: temp_models/2.tflite
Input size: 1.00MiB
Output model: temp_models/co-compiled/2/2_edgetpu.tflite
Output size: 1.20MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 12
Compilation child process completed within timeout period.
Compilation succeeded!
"""


def test_several_models_at_once() -> None:
    first, second = parse_output(CO_COMPILED)
    assert (first.input, first.total, first.mapped, first.cpu) == ("temp_models/1.tflite", 57, 57, 0)
    assert (second.input, second.total, second.on_chip_bytes) == ("temp_models/2.tflite", 12, None)


def test_the_last_attempt_of_a_search_counts() -> None:
    (report,) = parse_output(SUCCESS)
    assert (report.mapped, report.cpu, report.on_chip_bytes) == (1, 1, round(1.5 * KIB))
    assert len(report.rows) == 2


def test_a_failure_after_a_success_is_a_failure() -> None:
    assert parse_output(SUCCESS + REFUSAL) == ()


ZERO = "Model compiled successfully in 17 ms.\n\nInput model: x.tflite\nNumber of Edge TPU subgraphs: 0\n"


def test_nothing_mapped_is_still_a_success() -> None:
    (report,) = parse_output(
        ZERO + "Number of operations that will run on Edge TPU: 0\nNumber of operations that will run on CPU: 9\n"
    )
    assert (report.subgraphs, report.mapped, report.cpu) == (0, 0, 9)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (REFUSAL, "large activation tensors"),
        (
            "Edge TPU Compiler version 1.0.249710469\nINFO: Initialized TensorFlow Lite runtime.\n"
            "Invalid model: mnasnet_0.5_224.tflite\nModel not quantized\n",
            "Model not quantized",
        ),
        (
            "ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'. An older version of this builtin "
            "might be supported.\nERROR: Registration failed.\n\nInvalid model: f.tflite\nModel could not be parsed\n",
            "Model could not be parsed; Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'",
        ),
        (
            "Edge TPU Compiler version 14.1.317412892\n\nInternal compiler error. Aborting! \n",
            "Internal compiler error",
        ),
        (
            "ERROR: Encountered unresolved custom op: Atan.\nERROR: Node number 1 (Atan) failed to prepare.\n"
            "Compilation failed: Model failed in Tflite interpreter. Please ensure model can be loaded/run in Tflite "
            "interpreter.\nCompilation child process completed within timeout period.\nCompilation failed! \n",
            "Model failed in Tflite interpreter",
        ),
        ("Compilation failed: Internal error\n", "Internal error"),
        (
            "The number of lists given to intermediate_tensors doesn't match the number of input models.\n",
            "intermediate_tensors",
        ),
        ("Edge TPU Compiler version 15.0.340273435\n", "it gave no reason"),
        ("Compilation failed! \n", "it gave no reason"),
    ],
)
def test_reasons_of_failure(said: str, reason: str) -> None:
    assert parse_output(said) == ()
    assert reason in failure(said)
    assert "\n" not in failure(said)


def test_a_log_with_a_block_for_each_segment() -> None:
    text = (
        "Edge TPU Compiler version 16.0.384591198\nInput: m_segment_0_of_2.tflite\nOutput: a\n\n"
        "Operator                       Count      Status\n\n"
        "CONV_2D                        3          Mapped to Edge TPU\n"
        "Input: m_segment_1_of_2.tflite\nOutput: b\n\n"
        "Operator                       Count      Status\n\n"
        "CUSTOM                         1          Operation not supported\n"
    )
    first, second = parse_log(text)
    assert (first.input, first.mapped, first.cpu) == ("m_segment_0_of_2.tflite", 3, 0)
    assert (second.rows[0].op, second.mapped, second.cpu) == ("CUSTOM", 0, 1)
