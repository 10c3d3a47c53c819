"""Fits the coefficients of `edgeseg.tflite.latency` to published latencies; prints how far off unseen networks are.

Run it to see the fit: `python benchmarks/fit_latency.py`. The errors are those of leaving a network out: it is
estimated by a fit to all the others' figures. (A fit's own errors say nothing where it has as many coefficients as
figures.) Every figure below is published; the traits of the networks
are counted from their Keras definitions (keras.applications) or, for Inception v1, v2, v4 and SqueezeNet, taken from
their papers, with the activations estimated.

Sources:
    coral: coral.ai/docs/edgetpu/benchmarks (C++; desktop with USB 3, and Dev Board, whose Edge TPU is on PCIe).
    pycoral: benchmarks/reference/*.csv in google-coral/pycoral (Python; x86-64, Dev Board, Raspberry Pi 4, 3 B+).
    qengineering: README of Qengineering/TensorFlow_Lite_Classification_RPi_64-bits (uint8, 4 threads, 1.95 GHz).
    arm: learn.arm.com/courses/executorch-on-arm, developer.arm.com/ai/models (Raspberry Pi 5, int8, XNNPACK).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PARAMETER_CAPACITY_MB = 7.2


@dataclass(frozen=True)
class Network:
    """Traits of a network: million multiply-accumulates, and MB of parameters, activations, input and output."""

    macs: float
    parameters: float
    activations: float
    transfer: float

    @property
    def streamed(self) -> float:
        """MB of parameters that do not fit on the chip."""
        return max(0.0, self.parameters - PARAMETER_CAPACITY_MB)


NETWORKS = {
    "DenseNet-121": Network(2834, 7.9, 46.1, 0.152),
    "Inception v1": Network(1500, 6.6, 10.0, 0.152),
    "Inception v2": Network(1940, 11.2, 13.0, 0.152),
    "Inception v4": Network(12270, 42.7, 65.0, 0.269),
    "Inception-ResNet v2": Network(13160, 55.7, 114.7, 0.269),
    "MobileNet v1": Network(569, 4.2, 10.1, 0.152),
    "MobileNet v2": Network(301, 3.5, 14.2, 0.152),
    "ResNet-50 v1": Network(7212, 25.5, 73.7, 0.269),
    "ResNet-50 v2": Network(6536, 25.5, 70.3, 0.269),
    "ResNet-152 v2": Network(20210, 60.0, 163.0, 0.269),
    "SqueezeNet": Network(820, 1.25, 12.0, 0.152),
    "VGG16": Network(15470, 138.3, 30.3, 0.152),
    "VGG19": Network(19630, 143.7, 32.9, 0.152),
    "GoogLeNet": Network(1500, 6.6, 10.0, 0.152),
}


# Segmentation networks, too few to fit and too different to leave out: what the fit says of them is printed and kept in
# `latency.SEGMENTATION_RATIO`. DeepLab v3 (MobileNet v2, width 0.5, 513x513) is counted from the public .tflite: 64 of
# its operators on the Edge TPU, and on the CPU a tail of convolutions and resizing (`cpu`), and an argmax, which
# XNNPACK does not take (`slow`).
@dataclass(frozen=True)
class Segmentation:
    """A network with a tail on the CPU, and its published milliseconds by host."""

    on_chip: Network
    cpu: Network
    slow: Network
    published: dict[str, float]


NOTHING = Network(0, 0, 0, 0)
SEGMENTATION = {
    "U-Net MobileNet v2 128x128": Segmentation(
        Network(575, 6.4, 8.0, 0.098), NOTHING, NOTHING, {"usb3-desktop": 3.3, "pcie": 5.7}
    ),
    "DeepLab v3 513x513": Segmentation(
        Network(718.9, 0.58, 44.73, 1.07),
        Network(148.6, 0.14, 8.69, 0),
        Network(0, 0, 7.63, 0),
        {"pcie": 241.0},
    ),
    "DeepLab v3 257x257 in float32": Segmentation(
        NOTHING, Network(218 * 3.1, 0, 61.0, 0), NOTHING, {"pi4": 1000 / 7.2}
    ),
}
UNDELEGATED_FACTOR = 6.5

# (network, milliseconds, source)
Published = tuple[tuple[str, float, str], ...]
EDGETPU: dict[str, Published] = {
    "usb3-desktop": (
        ("DenseNet-121", 20, "coral"),
        ("Inception v1", 3.4, "coral"),
        ("Inception v1", 3.06, "pycoral"),
        ("Inception v4", 85, "coral"),
        ("Inception v4", 84.25, "pycoral"),
        ("Inception-ResNet v2", 57, "coral"),
        ("MobileNet v1", 2.4, "coral"),
        ("MobileNet v1", 2.17, "pycoral"),
        ("MobileNet v2", 2.6, "coral"),
        ("MobileNet v2", 2.29, "pycoral"),
        ("ResNet-50 v1", 49, "coral"),
        ("ResNet-50 v2", 50, "coral"),
        ("ResNet-152 v2", 128, "coral"),
        ("SqueezeNet", 2.1, "coral"),
        ("VGG16", 296, "coral"),
        ("VGG19", 308, "coral"),
    ),
    "pcie": (
        ("DenseNet-121", 25, "coral"),
        ("Inception v1", 4.1, "coral"),
        ("Inception v1", 4.0, "pycoral"),
        ("Inception v4", 102, "coral"),
        ("Inception v4", 100.33, "pycoral"),
        ("Inception-ResNet v2", 69, "coral"),
        ("MobileNet v1", 2.4, "coral"),
        ("MobileNet v1", 2.22, "pycoral"),
        ("MobileNet v2", 2.6, "coral"),
        ("MobileNet v2", 2.56, "pycoral"),
        ("ResNet-50 v1", 56, "coral"),
        ("ResNet-50 v2", 59, "coral"),
        ("ResNet-152 v2", 151, "coral"),
        ("SqueezeNet", 2.0, "coral"),
        ("VGG16", 343, "coral"),
        ("VGG19", 357, "coral"),
    ),
    "usb3": (
        ("Inception v1", 6.21, "pycoral"),
        ("Inception v4", 141.2, "pycoral"),
        ("MobileNet v1", 4.20, "pycoral"),
        ("MobileNet v2", 4.55, "pycoral"),
    ),
    "usb2": (
        ("Inception v1", 18.94, "pycoral"),
        ("Inception v4", 1054.94, "pycoral"),
        ("MobileNet v1", 9.0, "pycoral"),
        ("MobileNet v2", 10.61, "pycoral"),
    ),
}
CPU: dict[str, Published] = {
    "pi4": (
        ("MobileNet v1", 26.0 * 1.95 / 1.8, "qengineering, at the stock 1.8 GHz"),
        ("MobileNet v2", 22.0 * 1.95 / 1.8, "qengineering, at the stock 1.8 GHz"),
        ("Inception v2", 100.0 * 1.95 / 1.8, "qengineering, at the stock 1.8 GHz"),
        ("Inception v4", 500.0 * 1.95 / 1.8, "qengineering, at the stock 1.8 GHz"),
    ),
    "pi5": (
        ("MobileNet v2", 4.01, "arm"),
        ("SqueezeNet", 5.09, "arm"),
        ("GoogLeNet", 25.33, "arm"),
    ),
}

Matrix = npt.NDArray[np.float64]


def nonnegative(rows: Matrix, target: Matrix) -> Matrix:
    """Least squares with no negative coefficient: drops the most negative one until none is left."""
    active = list(range(rows.shape[1]))
    while active:
        solution = np.linalg.lstsq(rows[:, active], target, rcond=None)[0]
        if (solution >= 0).all():
            break
        active.pop(int(np.argmin(solution)))
    result = np.zeros(rows.shape[1])
    result[active] = solution
    return result


def robust(rows: Matrix, target: Matrix) -> Matrix:
    """Least absolute deviations, by reweighting: one odd published figure must not bend the whole fit."""
    weights = np.ones(len(target))
    for _ in range(50):
        found = nonnegative(rows * weights[:, None], target * weights)
        weights = 1 / np.sqrt(np.maximum(np.abs(rows @ found - target), 0.02))
    return found


Figures = dict[str, Published]


def without(published: Figures, network: str | None) -> Figures:
    """Returns the figures of all networks but one."""
    return {host: tuple(point for point in points if point[0] != network) for host, points in published.items()}


def fit_edgetpu(left_out: str | None = None) -> dict[str, tuple[float, float, float, float]]:
    """Returns for each host the ms fixed, for each MB moved, each million MACs, and each MB of activations."""
    hosts = list(EDGETPU)
    rows, target = [], []
    for host, points in without(EDGETPU, left_out).items():
        for name, milliseconds, _ in points:
            network = NETWORKS[name]
            row = np.zeros(2 * len(hosts) + 2)
            row[hosts.index(host)] = 1.0
            row[len(hosts) + hosts.index(host)] = network.transfer + network.streamed
            row[-2:] = network.macs, network.activations
            rows.append(row / milliseconds)  # relative errors count
            target.append(1.0)
    found = robust(np.array(rows), np.array(target))
    fixed, moved = found[: len(hosts)], found[len(hosts) : 2 * len(hosts)]
    return {host: (fixed[i], moved[i], found[-2], found[-1]) for i, host in enumerate(hosts)}


def fit_cpu(left_out: str | None = None) -> dict[str, tuple[float, float]]:
    """Returns for each board: ms for each million MACs, ms for each MB of activations."""
    fitted = {}
    for board, points in without(CPU, left_out).items():
        rows = np.array([[NETWORKS[n].macs / ms, NETWORKS[n].activations / ms] for n, ms, _ in points])
        macs, activations = robust(rows, np.ones(len(points)))
        fitted[board] = (float(macs), float(activations))
    return fitted


def errors() -> dict[str, list[tuple[str, float, float]]]:
    """Returns for each host its published points as (network, published ms, ms estimated without that network)."""
    table: dict[str, list[tuple[str, float, float]]] = {host: [] for host in (*EDGETPU, *CPU)}
    for name, n in NETWORKS.items():
        chips, boards = fit_edgetpu(name), fit_cpu(name)
        for host, points in (*EDGETPU.items(), *CPU.items()):
            if host in chips:
                fixed, moved, macs, activations = chips[host]
                estimated = fixed + moved * (n.transfer + n.streamed) + macs * n.macs + activations * n.activations
            else:
                estimated = boards[host][0] * n.macs + boards[host][1] * n.activations
            table[host] += [(name, milliseconds, estimated) for other, milliseconds, _ in points if other == name]
    return table


def summary(points: list[tuple[str, float, float]]) -> tuple[int, float, float]:
    """Returns how many figures, the median relative error, and how many times too much or too little at worst."""
    relative = [abs(estimated / published - 1) for _, published, estimated in points]
    factors = [max(estimated / published, published / estimated) for _, published, estimated in points]
    return len(points), float(np.median(relative)), float(max(factors))


def segmentation() -> dict[tuple[str, str], tuple[float, float]]:
    """Returns for each segmentation network and host (published, estimated) milliseconds, the tail on a Pi 4's CPU."""
    per_mac, per_mb = fit_cpu()["pi4"]
    found = {}
    for name, network in SEGMENTATION.items():
        cpu = per_mac * network.cpu.macs + per_mb * network.cpu.activations
        cpu += UNDELEGATED_FACTOR * per_mb * network.slow.activations
        for host, published in network.published.items():
            fixed, moved, macs, activations = fit_edgetpu().get(host, (0.0, 0.0, 0.0, 0.0))
            chip = network.on_chip
            estimated = fixed + moved * chip.transfer + macs * chip.macs + activations * chip.activations + cpu
            found[name, host] = (published, estimated)
    return found


def main() -> None:
    """Prints the coefficients and the errors."""
    for host, (fixed, moved, macs, activations) in fit_edgetpu().items():
        print(f"{host:13} {fixed:.3f} ms + {moved:.3f} ms/MB + {macs * 1e3:.3f} ms/GMAC + {activations:.4f} ms/MB act.")
    for board, (macs, activations) in fit_cpu().items():
        print(f"{board:13} {macs * 1e3:.3f} ms/GMAC + {activations:.4f} ms/MB act.")
    for host, points in errors().items():
        figures, median, worst = summary(points)
        print(
            f"\n{host}: {figures} figures, each network left out in turn: median error {median:.0%}, worst {worst:.1f}x"
        )
        for name, published, estimated in points:
            print(f"  {name:20} {published:8.2f} published {estimated:8.2f} estimated {estimated / published - 1:+.0%}")

    print("\nsegmentation networks, not fitted:")
    for (name, host), (published, estimated) in segmentation().items():
        print(
            f"  {name:28} {host:13} {published:7.1f} published {estimated:7.1f} estimated, {published / estimated:.1f}x"
        )


if __name__ == "__main__":
    main()
