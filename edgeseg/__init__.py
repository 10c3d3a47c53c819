"""Semantic segmentation on the edge: train, quantize, convert to TFLite, run live, and measure.

The names in `__all__` are the public interface. Each is imported when it is first used, so `import edgeseg` is quick
and needs neither TensorFlow nor OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeseg.version import __version__

if TYPE_CHECKING:
    from edgeseg.architectures.architecture import Architecture, NetworkForm
    from edgeseg.architectures.backbones.backbone import Backbone
    from edgeseg.architectures.backbones.features import Features, Strides
    from edgeseg.architectures.backbones.registry import build_backbone, list_backbones
    from edgeseg.architectures.build import build
    from edgeseg.architectures.network import NetworkSpec
    from edgeseg.architectures.registry import list_architectures
    from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
    from edgeseg.card_file import read_model, write_model
    from edgeseg.conversion.budget import convert_within
    from edgeseg.conversion.convert import convert
    from edgeseg.conversion.explain import explain
    from edgeseg.conversion.network import Conversion
    from edgeseg.conversion.trials import Budgeted
    from edgeseg.data.check import check_set
    from edgeseg.data.dataset import Dataset
    from edgeseg.data.importing.run import import_set
    from edgeseg.data.layouts import open_dataset
    from edgeseg.data.synthetic_set import write_flight, write_set
    from edgeseg.errors import (
        ConversionError,
        DataError,
        DelegateError,
        EdgesegError,
        MissingExtraError,
        ModelFileError,
        OutputError,
        PluginError,
        SourceError,
        TrainingError,
        UsageError,
    )
    from edgeseg.image import colorize, read_image, read_label_map, write_image
    from edgeseg.live.options import MaskOptions, ModelOptions, RunOptions
    from edgeseg.live.outputs.base import Output, OutputContext, OutputKind
    from edgeseg.live.outputs.opening import OutputOptions
    from edgeseg.live.run import RunHooks, run
    from edgeseg.live.sources.opening import SourceOptions
    from edgeseg.live.stats import RunStats
    from edgeseg.measure.benchmark import benchmark
    from edgeseg.measure.doctor import examine
    from edgeseg.measure.inspection import inspect
    from edgeseg.metrics import class_iou, confusion_matrix, miou, pixel_accuracy
    from edgeseg.provenance import AgreementRecord, CalibrationRecord, Score, TrainingRecord
    from edgeseg.report.compare import compare
    from edgeseg.report.images import view_set
    from edgeseg.report.results import Report
    from edgeseg.report.write import write_report
    from edgeseg.runtime.result import Result
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.signature import Preprocessing
    from edgeseg.scoring.evaluate import evaluate
    from edgeseg.surveying.options import SurveyOptions
    from edgeseg.surveying.records import ImageRecord, Survey
    from edgeseg.surveying.survey import survey
    from edgeseg.sweeping.sweep import sweep
    from edgeseg.tflite.edgetpu.compiler import compile_model
    from edgeseg.thawing.thaw import thaw
    from edgeseg.training.options import TrainingOptions
    from edgeseg.training.train import train
    from edgeseg.zoo import list_models

# === Where each public name lives ===
_HOMES = {
    "edgeseg.architectures.architecture": ("Architecture", "NetworkForm"),
    "edgeseg.architectures.backbones.backbone": ("Backbone",),
    "edgeseg.architectures.backbones.features": ("Features", "Strides"),
    "edgeseg.architectures.backbones.registry": ("build_backbone", "list_backbones"),
    "edgeseg.architectures.build": ("build",),
    "edgeseg.architectures.network": ("NetworkSpec",),
    "edgeseg.architectures.registry": ("list_architectures",),
    "edgeseg.card": ("InputSpec", "LabelSet", "ModelCard", "Recipe"),
    "edgeseg.card_file": ("read_model", "write_model"),
    "edgeseg.conversion.budget": ("convert_within",),
    "edgeseg.conversion.convert": ("convert",),
    "edgeseg.conversion.explain": ("explain",),
    "edgeseg.conversion.network": ("Conversion",),
    "edgeseg.conversion.trials": ("Budgeted",),
    "edgeseg.data.check": ("check_set",),
    "edgeseg.data.dataset": ("Dataset",),
    "edgeseg.data.importing.run": ("import_set",),
    "edgeseg.data.layouts": ("open_dataset",),
    "edgeseg.data.synthetic_set": ("write_flight", "write_set"),
    "edgeseg.errors": (
        "ConversionError", "DataError", "DelegateError", "EdgesegError", "MissingExtraError", "ModelFileError",
        "OutputError", "PluginError", "SourceError", "TrainingError", "UsageError",
    ),
    "edgeseg.image": ("colorize", "read_image", "read_label_map", "write_image"),
    "edgeseg.live.options": ("MaskOptions", "ModelOptions", "RunOptions"),
    "edgeseg.live.outputs.base": ("Output", "OutputContext", "OutputKind"),
    "edgeseg.live.outputs.opening": ("OutputOptions",),
    "edgeseg.live.run": ("RunHooks", "run"),
    "edgeseg.live.sources.opening": ("SourceOptions",),
    "edgeseg.live.stats": ("RunStats",),
    "edgeseg.measure.benchmark": ("benchmark",),
    "edgeseg.measure.doctor": ("examine",),
    "edgeseg.measure.inspection": ("inspect",),
    "edgeseg.metrics": ("class_iou", "confusion_matrix", "miou", "pixel_accuracy"),
    "edgeseg.provenance": ("AgreementRecord", "CalibrationRecord", "Score", "TrainingRecord"),
    "edgeseg.report.compare": ("compare",),
    "edgeseg.report.images": ("view_set",),
    "edgeseg.report.results": ("Report",),
    "edgeseg.report.write": ("write_report",),
    "edgeseg.runtime.result": ("Result",),
    "edgeseg.runtime.segmenter": ("Segmenter",),
    "edgeseg.runtime.signature": ("Preprocessing",),
    "edgeseg.scoring.evaluate": ("evaluate",),
    "edgeseg.surveying.options": ("SurveyOptions",),
    "edgeseg.surveying.records": ("ImageRecord", "Survey"),
    "edgeseg.surveying.survey": ("survey",),
    "edgeseg.sweeping.sweep": ("sweep",),
    "edgeseg.tflite.edgetpu.compiler": ("compile_model",),
    "edgeseg.thawing.thaw": ("thaw",),
    "edgeseg.training.options": ("TrainingOptions",),
    "edgeseg.training.train": ("train",),
    "edgeseg.zoo": ("list_models",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_FORMER = {"PictureRecord": "ImageRecord"}
"""What a public name was called before."""

__all__ = [
    "AgreementRecord",
    "Architecture",
    "Backbone",
    "Budgeted",
    "CalibrationRecord",
    "Conversion",
    "ConversionError",
    "DataError",
    "Dataset",
    "DelegateError",
    "EdgesegError",
    "Features",
    "ImageRecord",
    "InputSpec",
    "LabelSet",
    "MaskOptions",
    "MissingExtraError",
    "ModelCard",
    "ModelFileError",
    "ModelOptions",
    "NetworkForm",
    "NetworkSpec",
    "Output",
    "OutputContext",
    "OutputError",
    "OutputKind",
    "OutputOptions",
    "PluginError",
    "Preprocessing",
    "Recipe",
    "Report",
    "Result",
    "RunHooks",
    "RunOptions",
    "RunStats",
    "Score",
    "Segmenter",
    "SourceError",
    "SourceOptions",
    "Strides",
    "Survey",
    "SurveyOptions",
    "TrainingError",
    "TrainingOptions",
    "TrainingRecord",
    "UsageError",
    "__version__",
    "benchmark",
    "build",
    "build_backbone",
    "check_set",
    "class_iou",
    "colorize",
    "compare",
    "compile_model",
    "confusion_matrix",
    "convert",
    "convert_within",
    "evaluate",
    "examine",
    "explain",
    "import_set",
    "inspect",
    "list_architectures",
    "list_backbones",
    "list_models",
    "miou",
    "open_dataset",
    "pixel_accuracy",
    "read_image",
    "read_label_map",
    "read_model",
    "run",
    "survey",
    "sweep",
    "thaw",
    "train",
    "view_set",
    "write_flight",
    "write_image",
    "write_model",
    "write_report",
    "write_set",
]


def __getattr__(name: str) -> Any:
    name = _FORMER.get(name, name)
    if name not in _HOME:
        raise AttributeError(f"module 'edgeseg' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
