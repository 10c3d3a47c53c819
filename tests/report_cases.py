"""Hand-made results."""

from edgeseg.host import HostInfo
from edgeseg.report.results import Example, Panel, Report, Result

JPEG = b"\xff\xd8\xff\xd9"


def make_result(**changes) -> Result:
    values = {
        "model": "m", "file": "m.tflite", "recipe": "int8_ptq", "input_size": (240, 320), "miou": 0.5,
        "pixel_accuracy": 0.9, "class_iou": (("road", 0.9), ("sky", 0.1)), "latency_ms": 10.0, "latency_p90_ms": 11.0,
        "bytes": 1_000_000, "threads": 1, "delegate": "xnnpack",
    }  # fmt: skip
    return Result(**{**values, **changes})


def make_report() -> Report:
    """Two models on two classes; the second's name, class and machine try to break the pages."""
    nan = float("nan")
    return Report(
        dataset="camvid",
        split="val",
        images=101,
        results=(
            make_result(model="deeplab_mobilenetv2_camvid_240x320_int8_ptq", miou=0.676, latency_ms=7.4),
            make_result(
                model="unet_own_camvid_360x480_float32", recipe="float32", miou=0.651, latency_ms=69.3,
                latency_p90_ms=97.0, class_iou=(("road", 0.95), ("sky", nan)), parameters=361_000, macs=1_900_000_000,
                noise=("p90 is 1.40 times p50",),
            ),
            make_result(
                model='<script>alert("1")</script>|x', file="a,b.tflite", recipe="", miou=0.7, latency_ms=80.0,
                delegate="none", class_iou=(("road", 0.8), ("sky & <b>cloud</b>", 0.6)),
            ),
        ),
        host=HostInfo(
            machine="aarch64", cpu="Raspberry Pi 5 <rev 1.0>", cores=4, governor="ondemand", max_mhz=2400.0,
            memory_bytes=8 << 30, kernel="6.6", python="3.11.2",
        ),
        command="edgeseg report a.tflite 'b c.tflite' --data camvid --out out/<x>",
        version="0.1.0",
        created="2026-11-22 10:00 UTC",
        examples=(
            Example(name="0016E5.jpg", panels=(Panel(caption="image", jpeg=JPEG), Panel(caption='"q"', jpeg=JPEG))),
        ),
        colors=(("road", (128, 64, 128)), ("sky & <b>cloud</b>", (70, 130, 180))),
    )  # fmt: skip
