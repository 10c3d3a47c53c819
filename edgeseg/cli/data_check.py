"""`edgeseg data check`: what is in a data set, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.cli.output import JsonOption, advancing, console, emit, progress_bar


def command(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the data set.")],
    layout: Annotated[str, typer.Option(help="Data set layout, recognised by its folders if auto.")] = "auto",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page: classes, findings, labels to look at.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Check a data set: classes, sizes, unreadable files, wrong ids, images in train and val alike, and more.

    \b
    Examples:
      edgeseg data check yard
      edgeseg data check camvid --json check.json
      edgeseg data check yard --html check.html
    """  # noqa: D301
    from edgeseg.data.check import check_set

    with progress_bar() as progress:
        found = check_set(data, layout, advancing(progress, "images"))

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, markup=False)

    say(f"{data}: {', '.join(f'{count} {split}' for split, count in found.splits.items())}")
    width = max(map(len, found.classes))
    totals = {split: max(1, sum(c[split]["pixels"] for c in found.classes.values())) for split in found.splits}
    for name, splits in found.classes.items():
        parts = [f"{s} {100 * c['pixels'] / totals[s]:6.2f} % in {c['pictures']}" for s, c in splits.items()]
        say(f"  {name:<{width}}  {',  '.join(parts)}")
    say(f"  ignored: {', '.join(f'{split} {100 * share:.2f} %' for split, share in found.ignored.items())}")
    say(f"  sizes: {', '.join(f'{count} of {size}' for size, count in list(found.sizes.items())[:6])}")
    say(f"  mean {', '.join(map(str, found.mean))}, std {', '.join(map(str, found.std))} (red, green, blue)")
    for suggestion in found.suggestions:
        say(f"  try {suggestion}")
    for warning in found.warnings:
        say(f"  look: {warning}")
    say(f"{len(found.warnings)} findings" if found.warnings else "nothing is wrong")
    options = " ".join(suggestion.partition(":")[0] for suggestion in found.suggestions)
    train = f"edgeseg train --data {data} --out runs/{data.resolve().name} {options}"
    say(f"next: {train}; add --time-budget 30m to say how long")
    if html is not None:
        from edgeseg.files import write_text
        from edgeseg.report.check_page import check_page

        write_text(html, check_page(data, found, layout))
        say(f"{html}: the images whose labels are least like the others'")
    emit(asdict(found), json)
