"""In which order tests run against mutants."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis
import pytest


class KillersFirst:
    """A pytest plugin: tests that failed before run first, the last one of all, then the quick ones.

    Neighbouring mutants mostly fail the same test.
    """

    killers, times = Path("killers.txt"), Path("times.json")

    def order(self, items: list[pytest.Item]) -> None:
        killers = self.killers.read_text().splitlines() if self.killers.exists() else []
        last = {test: number for number, test in enumerate(killers)}
        times = json.loads(self.times.read_text()) if self.times.exists() else {}
        items.sort(key=lambda item: (-last.get(item.nodeid, -1), times.get(item.nodeid, 0.0)))

    def pytest_sessionstart(self) -> None:
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # one failure is enough, however large
        hypothesis.settings.register_profile("mutants", phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.order(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            with self.killers.open("a") as file:
                file.write(f"{report.nodeid}\n")


class Timed(KillersFirst):
    """A pytest plugin: notes how long each test takes."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.taken[report.nodeid] = self.taken.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        self.times.write_text(json.dumps(self.taken))
