"""docs/edgetpu.md lists every rule as the code has it."""

from __future__ import annotations

from pathlib import Path

from edgeseg.tflite.edgetpu.rules import RULES

PAGE = Path(__file__).parents[3] / "docs" / "edgetpu.md"


def table() -> str:
    lines = ["| rule | operators | evidence | source | what to do |", "|---|---|---|---|---|"]
    for rule in RULES:
        ops = ", ".join(sorted(rule.ops)) if len(rule.ops) < 6 else "those with parameters"
        lines.append(f"| {rule.name} | {ops or 'all'} | {rule.evidence} | {rule.source} | {rule.remedy} |")
    return "\n".join(lines)


def test_the_page_lists_every_rule() -> None:
    page = PAGE.read_text()
    start = page.index("-->", page.index("<!-- rules")) + 4
    written = page[start : page.index("<!-- end of rules")].strip()
    assert written == table(), f"put this into docs/edgetpu.md:\n{table()}"
