"""How `edgeseg inspect` words and tabulates a file's summary."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.markup import escape
from rich.table import Table

Summary = dict[str, Any]


def head(result: Summary) -> Iterator[str]:
    """Yields the lines on the file, its card, and its input and output."""
    made_by = f", {escape(result['description'])}" if result["description"] else ""
    needs = f", needs TFLite {result['min_runtime_version']}" if result["min_runtime_version"] else ""
    yield f"[bold]{escape(result['file'])}[/]  {size(result['bytes'])}{made_by}{needs}"
    yield from card(result["card"])
    for what in ("inputs", "outputs"):
        for tensor in result[what]:
            yield f"  {what[:-1]:<7} {_tensor(tensor)}"
    ops = result["ops"]
    yield (
        f"  {len(ops)} operators, {result['macs'] / 1e6:,.1f} million multiply-accumulates, "
        f"parameters {size(result['parameter_bytes'])}"
    )


def card(value: Summary | None) -> Iterator[str]:
    """Yields the lines on the card."""
    if value is None:
        yield "  no card: give --labels and the normalisation by flags to run it"
        return
    names = value["labels"]["names"]
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    yield f"  card    {escape(value['name'])}, recipe {value['recipe']['name']}, {len(names)} classes: {escape(shown)}"
    for score in value["scores"]:
        yield f"          mIoU {score['miou']:.4f} on {escape(score['dataset'])} {score['split']}"
    if value["agreement"] is not None:
        yield f"          same class as the Keras model on {value['agreement']:.2%} of pixels"


def kinds(result: Summary) -> Table:
    """Returns a table with a row for each kind of operator."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("operator", "version"):
        table.add_column(name)
    for name in ("count", "MACs", "parameters", "XNNPACK", "Edge TPU"):
        table.add_column(name, justify="right")
    total = max(result["macs"], 1)
    ordered = sorted(result["ops"], key=lambda op: (op["op"], op["version"]))
    for (name, version), group in groupby(ordered, key=lambda op: (op["op"], op["version"])):
        ops = list(group)
        macs = sum(op["macs"] for op in ops)
        table.add_row(
            escape(name),
            str(version),
            str(len(ops)),
            f"{macs / total:.1%}" if macs else "",
            size(sum(op["parameter_bytes"] for op in ops)),
            _share(sum(op["xnnpack"] for op in ops), len(ops)),
            _share(sum(op["mapped"] for op in ops), len(ops)),
        )
    return table


def operators(result: Summary) -> Table:
    """Returns a table with a row for each operator."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "operator", "output", "MACs", "XNNPACK", "Edge TPU"):
        table.add_column(name, justify="right" if name in ("", "MACs") else "left")
    for op in result["ops"]:
        table.add_row(
            str(op["index"]),
            escape(f"{op['op']} {op['version']}"),
            _outputs(op["outputs"]),
            f"{op['macs']:,}" if op["macs"] else "",
            "yes" if op["xnnpack"] else f"[yellow]no[/]: {escape(op['xnnpack_reason'])}",
            f"yes ({op['evidence']})" if op["mapped"] else f"[yellow]no[/]: {escape(op['reason'])} ({op['evidence']})",
        )
    return table


def _outputs(tensors: list[Summary]) -> str:
    lines = [f"{tensor['dtype']} {shape(tensor['shape'])}" for tensor in tensors[:3]]
    return "\n".join([*lines, f"and {len(tensors) - 3} more"] if len(tensors) > 3 else lines)


def verdicts(result: Summary, *, edgetpu: bool) -> Iterator[str]:
    """Yields the lines on float operators, XNNPACK and the Edge TPU."""
    yield from _integers(result)
    yield from _floats(result)
    ops, xnn = result["ops"], result["xnnpack"]
    left = sorted({op["op"] for op in ops if not op["xnnpack"]})
    share = "" if xnn["macs_share"] is None else f", {xnn['macs_share']:.1%} of the multiply-accumulates"
    rest = f"; not {escape(', '.join(left))}" if left else ""
    where = _parts(xnn["nodes"])
    yield f"[bold]XNNPACK[/] (predicted)  {xnn['delegated']} of {len(ops)} operators in {where}{share}{rest}"
    yield from _edgetpu_verdict(result)
    if edgetpu:
        yield from _edgetpu_details(result)
    elif result["edgetpu"]["rejected"] or result["edgetpu"]["cpu"]:
        yield "  why, and what to do: --edgetpu"
    if result["latency_estimates"]:
        low, high = result["latency_segmentation_ratio"]
        yield (
            "[bold]Latency[/] (rough estimates by published figures, with the error for networks left out; published "
            f"segmentation networks were {low:g} to {high:g} times slower; measure on the board)"
        )
    for guess in result["latency_estimates"]:
        yield f"  about {guess['milliseconds']:7.1f} ms  {guess['label']}  [dim]({_error(guess['error'])})[/]"
    if result["latency_estimates"]:
        yield "  no estimate where the published figures bear none:"
        for board in result["latency_withheld"]:
            yield f"    {board['label']}  [dim]({_error(board['error'])})[/]"


def _error(error: dict[str, Any]) -> str:
    return (
        f"{error['median']:.0%} off in the median, {error['worst_times']:g} times at worst, {error['figures']} figures"
    )


def _edgetpu_verdict(result: Summary) -> Iterator[str]:
    tpu, ops = result["edgetpu"], result["ops"]
    if tpu["packages"]:
        yield f"[bold]Edge TPU[/] (compiled)  {_parts(tpu['subgraphs'])} on it, {tpu['cpu']} operators on the CPU"
        for package in tpu["packages"]:
            kinds = ", ".join(dict.fromkeys(program["type"] for program in package["executables"]))
            compiler = f", compiler {escape(package['compiler_version'])}" if package["compiler_version"] else ""
            yield (
                f"  part {package['operator']}: runtime {package['min_runtime_version']} or newer{compiler}; "
                f"parameters {size(package['cached_bytes'])} cached on the chip, "
                f"{size(package['streamed_bytes'])} streamed for every frame [dim]({kinds})[/]"
            )
    elif tpu["rejected"]:
        yield f"[bold]Edge TPU[/] (predicted)  [red]the compiler refuses the file[/]: {escape(tpu['rejected'])}"
    else:
        yield (
            f"[bold]Edge TPU[/] (predicted)  {tpu['mapped']} of {len(ops)} operators in {_parts(tpu['subgraphs'])}, "
            f"runtime {tpu['runtime']} or newer"
        )


def _integers(result: Summary) -> Iterator[str]:
    """Yields the proof that a file is all integer, or what else is in one that is in part; nothing of float files."""
    found = result["integers"]
    types = ", ".join(f"{count} {name}" for name, count in found["types"].items())
    if not found["only"]:
        if {"int8", "uint8"} & found["types"].keys():
            yield f"[bold]Integers[/]  not only: the tensors are {types}"
        return
    unknown = [result["ops"][index] for index in found["unknown_versions"]]
    names = ", ".join(dict.fromkeys(escape(f"{op['op']} {op['version']}") for op in unknown))
    known = f"Edge TPU compiler 16 does not know {names}" if unknown else "Edge TPU compiler 16 knows all versions"
    yield f"[bold]Integers[/]  only: the tensors are {types}; {known}"


def _floats(result: Summary) -> Iterator[str]:
    ops = result["ops"]
    if result["float_ops"]:
        names = sorted({ops[i]["op"] for i in result["float_ops"] if i < len(ops)})
        yield f"[bold]Float[/]  {len(result['float_ops'])} operators compute in float: {escape(', '.join(names))}"
    if result["border_ops"]:
        yield f"[bold]Float[/]  {len(result['border_ops'])} operators at the border change float to integers or back"


def _edgetpu_details(result: Summary) -> Iterator[str]:
    tpu = result["edgetpu"]
    staying = [op for op in result["ops"] if not op["mapped"]]
    if not tpu["rejected"]:
        for findings, group in groupby(staying, key=lambda op: op["findings"]):
            ops = list(group)
            where = f"{ops[0]['index']}" if len(ops) == 1 else f"{ops[0]['index']}-{ops[-1]['index']}"
            names = ", ".join(dict.fromkeys(op["op"] for op in ops))
            yield f"  CPU {where:>7}  {escape(names)}"
            for finding in findings:
                known = escape(f"({finding['evidence']}: {finding['source']})")
                yield f"               {escape(finding['reason'])} [dim]{known}[/]"
        for cut in tpu["cuts"]:
            yield f"  cut at {escape(cut['tensor'])} ({size(cut['bytes'])}), after operator {cut['producer']}"
    if memory := tpu["memory"]:
        crowded = memory["activation_bytes"] > memory["activation_capacity"]
        yield (
            f"  memory (estimate)  parameters {size(memory['cached_bytes'])} cached on the chip, "
            f"{size(memory['streamed_bytes'])} streamed for every frame; activations up to "
            f"{size(memory['activation_bytes'])} of {size(memory['activation_capacity'])}"
            f"{': worked in strips, may fail with large activation tensors' if crowded else ''}"
        )
    for remedy in tpu["remedies"]:
        yield f"  [green]do[/]  {escape(remedy)}"


def _parts(count: int) -> str:
    return "1 part" if count == 1 else f"{count} parts"


def _share(part: int, whole: int) -> str:
    return "yes" if part == whole else f"[yellow]{'no' if not part else f'{part} of {whole}'}[/]"


def _tensor(tensor: Summary) -> str:
    quantization = ""
    if tensor["scale"] is not None:
        quantization = f", real = {tensor['scale']:.6g} * (stored - {tensor['zero_point']})"
    return f"{tensor['dtype']} {shape(tensor['shape'])}{quantization}  [dim]{escape(tensor['name'])}[/]"


def shape(sizes: list[int]) -> str:
    """Returns a shape as 1x224x224x3."""
    return "x".join(map(str, sizes)) or "scalar"


def size(count: int) -> str:
    """Returns a number of bytes in B, KiB or MiB."""
    if count < 1 << 10:
        return f"{count} B"
    return f"{count / (1 << 10):.1f} KiB" if count < 1 << 20 else f"{count / (1 << 20):.2f} MiB"
