"""The Segmenter: a network, and what stands on either side of it, as one object.

    segmenter = Segmenter("camvid")
    result = segmenter(image)

For a loop that times its stages, or that resizes on another thread, the steps are there one by one: `prepare` (or
`load` with a tensor from `staging`), `invoke`, `label_map`.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import CHANNELS, Float32, Uint8, check_image, filled
from edgeseg.card import InputSpec, LabelSet
from edgeseg.decoder import Decoder
from edgeseg.errors import UsageError
from edgeseg.image import content_size, fit, normalise
from edgeseg.runtime.opening import Model, open_model, terms
from edgeseg.runtime.protocol import Activation, OpenOptions
from edgeseg.runtime.result import Result
from edgeseg.runtime.signature import (
    Preprocessing,
    choose_input,
    choose_labels,
    image_input,
    input_table,
    map_output,
    output_spec,
)


class Segmenter:
    """A network that is ready to segment images.

    >>> import edgeseg
    >>> image = edgeseg.read_image("docs/aerial.jpg")  # or any (H, W, 3) uint8 array, blue-green-red
    >>> result = edgeseg.Segmenter("aerial")(image)
    >>> result.label_map.shape == image.shape[:2]
    True
    >>> result.overlay(image).shape == image.shape
    True

    Args:
        model: A zoo name, a model folder (its integer file is taken), a path or a file's content, for any runtime.
        threads: CPU threads for inference, 1 if None.
        delegate: As `--delegate` takes it (see `runtime.delegates`); None uses XNNPACK where it works.
        size: (rows, columns) of the input, for a network that takes images of any size.
        input_spec: Preprocessing; None takes the card's, or infers it for a file without one.
        labels: Classes; None takes the card's, or numbers them for a file without one.
        preprocessing: Replaces parts of the preprocessing.

    Attributes:
        name: What was opened: the file's path.
        card: The model's card; None for a file without one.
        input: How a frame becomes the input.
        labels: The classes.
        output_kind: "logits" or "labels", what the network itself gives; `output_spec` tells more of it.
        output_size: (rows, columns) of the network's output.
        delegate: What runs it: "xnnpack", "none", or the external delegate as asked for.
        threads: CPU threads for inference.
        notices: Lines to show to the user: what was inferred, what fell back, terms that do not leave its use free.

    Raises:
        ModelFileError: The file is missing, damaged or no segmentation network.
        DelegateError: The delegate cannot be loaded.
        UsageError: Arguments contradict the file.
    """

    def __init__(
        self,
        model: Model,
        *,
        threads: int | None = None,
        delegate: str | None = None,
        size: tuple[int, int] | None = None,
        input_spec: InputSpec | None = None,
        labels: LabelSet | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"{threads} threads: expected 1 or more")
        self.threads = threads or 1
        self.name, self.card, self._network = open_model(
            model, OpenOptions(threads=threads, delegate=delegate, size=size)
        )
        self.delegate = self._network.device
        self._input_tensor = image_input(self._network.inputs, self.name)
        self._output_tensor = map_output(self._network.outputs, self.name)
        given = input_spec if input_spec is not None or self.card is None else self.card.input
        self.input, assumed = choose_input(self._input_tensor, given, size, preprocessing or Preprocessing(), self.name)
        self.output_spec = output_spec(self._network, self._output_tensor)
        self.output_kind = self.output_spec.kind
        self.output_size = (self.output_spec.height, self.output_spec.width)
        self.labels, counted = choose_labels(self._num_classes(), self.card, labels, self.name)
        threshold = self.output_spec.threshold
        binary = [f"one output channel: class 1 where it is above {threshold}"] if self.output_spec.is_binary else []
        self.notices = (*self._network.notices, *assumed, *counted, *binary, *terms(self.card, self.name))
        self._table = input_table(self.input, self._input_tensor)
        self._rgb = np.empty((self.input.height, self.input.width, self.input.channels), np.uint8)
        self._decoder = Decoder(self.input, self.output_spec)
        self._covered = self.input.inner

    @property
    def accelerated(self) -> bool:
        """Whether an accelerator runs it: one device beside the CPU, which can fail."""
        return self._network.accelerator

    def twin(self) -> Segmenter | None:
        """Returns another Segmenter of the same network, to be filled and read while this one runs.

        Returns:
            None where an accelerator runs it: that is one device, whatever the number of interpreters.
        """
        network = self._network.twin()
        if network is None:
            return None
        other = copy.copy(self)
        other._network = network
        other._rgb = np.empty_like(self._rgb)
        other._decoder = Decoder(self.input, self.output_spec)
        return other

    def __call__(self, image: Uint8) -> Result:
        """Segments one image.

        Args:
            image: (H, W, 3) uint8, blue-green-red, any size.

        Returns:
            Its label map, of its size, with the classes.

        Raises:
            UsageError: It is no image.
            DelegateError: Inference failed.
        """
        return Result(label_map=self.segment(image), labels=self.labels)

    def segment(self, frame: Uint8, height: int | None = None, width: int | None = None, sharp: bool = True) -> Uint8:
        """Segments one image: what evaluation scores.

        Args:
            frame: (H, W, 3) uint8, blue-green-red, any size.
            height: Rows of the result; the frame's if None.
            width: Columns of the result; give both or none.
            sharp: Interpolate the logits and then decide: smooth outlines. Else decided pixels are repeated, quicker.

        Returns:
            (height, width) uint8 class ids.

        Raises:
            UsageError: The frame is no image, or the size is none.
            DelegateError: Inference failed.
        """
        if (height is None) != (width is None):
            raise UsageError(f"height {height}, width {width}: give both or none")
        self.prepare(frame)
        self.invoke()
        rows, columns = frame.shape[:2] if height is None or width is None else (height, width)
        return self.sized_label_map(rows, columns, sharp=sharp)

    def coarse_label_map(self, frame: Uint8) -> Uint8:
        """Segments one image at the network's own output size: what the network itself decides."""
        self.prepare(frame)
        self.invoke()
        return self.label_map()

    def prepare(self, frame: Uint8) -> None:
        """Puts a frame into the input tensor: one resize, straight into its memory where its type allows.

        Raises:
            UsageError: It is no image, (H, W, 3) uint8.
        """
        check_image(frame, "frame", CHANNELS.get(self.input.order, (self.input.channels,)))
        self._covered = content_size(frame.shape[0], frame.shape[1], self.input)
        self.stage(frame, self._network.view(self._input_tensor)[0])

    def staging(self) -> npt.NDArray[Any]:
        """Returns a new array like the input tensor, for `stage` on another thread while the network runs."""
        return np.empty(self._input_tensor.shape[1:], self._input_tensor.dtype)

    def stage(self, frame: Uint8, tensor: npt.NDArray[Any]) -> None:
        """Preprocesses a frame into `tensor`, an array from `staging`. Not for two threads at once.

        Raises:
            UsageError: The frame is no image, (H, W, 3) uint8, or `tensor` is not like the input tensor.
        """
        self._check_tensor(tensor)
        if self._table is None and tensor.dtype == np.uint8:
            fit(frame, self.input, tensor)
            return
        rgb = fit(frame, self.input, self._rgb)
        if self._table is None:
            normalise(rgb, self.input, tensor)
        else:
            stored = tensor.view(np.uint8)
            filled(stored, cv2.LUT(rgb, self._table, dst=stored))

    def fits(self, tensor: npt.NDArray[Any]) -> bool:
        """Whether an array is like the input tensor."""
        wanted = self._input_tensor
        return tensor.shape == wanted.shape[1:] and tensor.dtype == wanted.dtype and tensor.flags.c_contiguous

    def load(self, tensor: npt.NDArray[Any], frame_size: tuple[int, int]) -> None:
        """Copies a staged input in.

        Args:
            tensor: What `stage` filled.
            frame_size: (rows, columns) of the frame it was made of.

        Raises:
            UsageError: The tensor is not like the input tensor.
        """
        self._check_tensor(tensor)
        self._covered = content_size(*frame_size, self.input)
        np.copyto(self._network.view(self._input_tensor)[0], tensor)

    def invoke(self) -> None:
        """Runs the network on what was prepared; other Python threads run meanwhile.

        Raises:
            DelegateError: It failed.
        """
        self._network.invoke()

    def label_map(self, out: Uint8 | None = None) -> Uint8:
        """Returns the label map of the last `invoke` at the network's output size, letterbox padding cut off.

        Args:
            out: `output_size` uint8 to work in; a new array if None.

        Returns:
            uint8 class ids; a view of `out` if it was given.

        Raises:
            UsageError: `out` is not contiguous uint8 of `output_size`.
        """
        return self._decoder.label_map(self._output(), self._covered, out)

    def sized_label_map(self, height: int, width: int, sharp: bool = False) -> Uint8:
        """Returns the label map of the last `invoke` at another size, usually the frame's.

        Args:
            height: Rows wanted.
            width: Columns wanted.
            sharp: See `segment`. A network whose output is labels already has no logits to interpolate.

        Raises:
            UsageError: The size is none.
        """
        return self._decoder.sized_label_map(self._output(), self._covered, height, width, sharp=sharp)

    def logits(self) -> npt.NDArray[Any]:
        """Returns a copy of the last output, (h, w, classes), in the file's own (quantized) units.

        Raises:
            UsageError: The network gives labels.
        """
        if self.output_kind != "logits":
            raise UsageError(f"{self.name} gives labels, not logits: convert it with --output logits")
        return self._output().copy()

    def probabilities(self, height: int, width: int) -> Float32:
        """Returns the class probabilities of the last `invoke` at another size, usually the frame's.

        Returns:
            (height, width, classes) float32; each pixel's sum to 1.

        Raises:
            UsageError: The network gives labels, or the size is none.
        """
        logits, are_logits = self.logits(), self._activation == ""
        return self._decoder.probabilities(logits, self._covered, height, width, are_logits=are_logits)

    @cached_property
    def _activation(self) -> Activation:
        return self._network.origin(self._output_tensor).activation

    def _num_classes(self) -> int:
        """How many classes the network tells apart; 0 if the file does not say."""
        if self.output_kind == "logits":
            return self.output_spec.channels
        return self._network.origin(self._output_tensor).num_classes

    def _output(self) -> npt.NDArray[Any]:
        output: npt.NDArray[Any] = self._network.view(self._output_tensor)[0]
        return output[:, :, 0] if self.output_kind == "labels" and output.ndim == 3 else output

    def _check_tensor(self, tensor: npt.NDArray[Any]) -> None:
        if not self.fits(tensor):
            raise UsageError(
                f"the tensor is {tensor.dtype} of shape {tensor.shape}: expected {self._input_tensor.dtype} of shape "
                f"{self._input_tensor.shape[1:]}, as staging() makes it"
            )
