"""The page that `edgeseg train` leaves beside the weights."""

from __future__ import annotations

from pathlib import Path

from edgeseg.cli.output import advancing, progress_bar

PAGE_FILE = "training.html"


def write_training_page(out: Path, data: Path, split: str, layout: str) -> Path:
    """Scores the best weights once more, image by image, and writes the page; returns where it is.

    Raises:
        DataError: The data set or the checkpoint cannot be read any more.
    """
    from edgeseg.data.layouts import open_dataset
    from edgeseg.files import write_text
    from edgeseg.keras_model import load_model
    from edgeseg.keras_segmenter import KerasSegmenter
    from edgeseg.report.training_page import training_page
    from edgeseg.scoring.detail import score_in_detail
    from edgeseg.training.checkpoint import read_facts
    from edgeseg.training.folder import CHECKPOINT_FILE, MODEL_FILE

    network, card = load_model(out / MODEL_FILE)
    assert card is not None  # training wrote it
    with progress_bar() as progress:
        segmenter = KerasSegmenter(network, card.input, card.labels)
        scored = score_in_detail(
            segmenter, open_dataset(data, split, layout), advance=advancing(progress, "scoring the best")
        )
    page = training_page(card, read_facts(out / CHECKPOINT_FILE)["history"], scored)
    write_text(out / PAGE_FILE, page)
    return out / PAGE_FILE
