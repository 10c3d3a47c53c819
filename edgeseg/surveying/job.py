"""What a worker needs to survey any of a survey's images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeseg.card import LabelSet
from edgeseg.errors import DataError, EdgesegError, UsageError
from edgeseg.files import digest, file_digest, json_text
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.surveying.blending import Advance
from edgeseg.surveying.image import SourceImage, survey_image
from edgeseg.surveying.options import SurveyOptions
from edgeseg.surveying.records import ImageRecord


@dataclass(frozen=True, kw_only=True)
class Job:
    """A survey without its images.

    Attributes:
        model: The model's file.
        out: The folder of the results.
        options: What is asked.
        threads: CPU threads for inference.
        delegate: As `--delegate` takes it.
        labels: Classes in place of the card's.
    """

    model: Path
    out: Path
    options: SurveyOptions
    threads: int | None = None
    delegate: str | None = None
    labels: LabelSet | None = None

    def open(self) -> Segmenter:
        """Opens the network."""
        return Segmenter(self.model, threads=self.threads, delegate=self.delegate, labels=self.labels)

    def settings(self) -> dict[str, Any]:
        """Returns all that the results hang on but the images, as what JSON knows."""
        labels = None if self.labels is None else asdict(self.labels)
        return {"model": self.model.name, "model_digest": file_digest(self.model), "labels": labels} | asdict(
            self.options
        )

    def settings_digest(self) -> str:
        """Returns what tells these settings from others."""
        return digest(json_text(self.settings()).encode())


class Surveyor:
    """Surveys images of a job with one network, opened once.

    Args:
        job: The job.

    Attributes:
        segmenter: The network.

    Raises:
        EdgesegError: As `Segmenter`.
    """

    def __init__(self, job: Job) -> None:
        self.segmenter = job.open()
        self._job, self._digest = job, job.settings_digest()

    def __call__(self, image: SourceImage, advance: Advance | None = None) -> ImageRecord | EdgesegError:
        """Surveys an image.

        Returns:
            Its record, or what is wrong with the image: the others may be surveyed all the same.

        Raises:
            EdgesegError: What stands in the way of all images.
        """
        job = self._job
        try:
            return survey_image(self.segmenter, image, job.out, job.options, self._digest, advance)
        except (DataError, UsageError) as error:
            return error
