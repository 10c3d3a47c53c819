"""Figures as people read them, the same on every page."""

from __future__ import annotations

import math

from edgeseg.report.results import Report, Result

ABSENT = "–"
SPREAD_TOLD = "mIoU: the mean over seeds ± its standard deviation from seed to seed."


def percent(fraction: float) -> str:
    """0.6523 -> "65.2"; NaN -> a dash."""
    return ABSENT if math.isnan(fraction) else f"{100 * fraction:.1f}"


def percent_over_seeds(result: Result) -> str:
    """Returns the mIoU in per cent: "65.2", or "65.2 ± 0.4" over several seeds."""
    return percent(result.miou) + ("" if result.spread is None else f" ± {percent(result.spread)}")


def three_figures(value: float) -> str:
    """0.913 -> "0.91", 19.83 -> "19.8", 394.2 -> "394"."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def megabytes(value: int) -> str:
    """Size in MB (10^6 bytes): 1234567 -> "1.23"."""
    return three_figures(value / 1e6)


def millions(value: int | None) -> str:
    """Count in millions: 361000 -> "0.36"; None -> a dash."""
    return ABSENT if value is None else three_figures(value / 1e6)


def machine_facts(report: Report) -> tuple[tuple[str, str], ...]:
    """Returns (name, value) of what one should know of the machine to believe its latencies."""
    host = report.host
    facts = [
        ("Processor", f"{host.cpu or 'unknown'} ({host.machine})"),
        ("Cores", str(host.cores)),
        ("Highest frequency", f"{host.max_mhz:.0f} MHz" if host.max_mhz else ""),
        ("Governor", host.governor),
        ("Memory", f"{host.memory_bytes / 2**30:.1f} GiB" if host.memory_bytes else ""),
        ("Kernel", host.kernel),
        ("Python", host.python),
        ("edgeseg", report.version),
        ("Inference", ", ".join(dict.fromkeys(how_run(result) for result in report.results))),
    ]
    return tuple((name, value) for name, value in facts if value)


def how_run(result: Result) -> str:
    """Threads and delegate: "2 threads, xnnpack"."""
    return f"{result.threads} thread{'s' * (result.threads != 1)}, {result.delegate}"


def noise_lines(report: Report) -> tuple[str, ...]:
    """Returns each reason why latencies may be off, with the models it touched."""
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        for reason in result.noise:
            reasons.setdefault(reason, []).append(result.model)
    everywhere = len(report.results)
    return tuple(
        reason if len(models) == everywhere else f"{reason} ({', '.join(models)})" for reason, models in reasons.items()
    )
