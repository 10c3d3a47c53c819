"""The Segmenter: a `.tflite` file, and what stands on either side of it, as one object.

    segmenter = Segmenter("model.tflite")
    label_map = segmenter.segment(frame)

For a loop that times its stages, or that resizes on another thread, the steps are there one by one: `prepare` (or
`load` with a tensor from `staging`), `invoke`, `label_map`.
"""

from __future__ import annotations

import copy
import dataclasses
import os
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.card import ChannelOrder, InputSpec, LabelSet, OutputKind, PerChannel, ResizeMode
from edgeseg.card_file import detach, read_model
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.image import (
    CHANNELS,
    Float32,
    Uint8,
    check_picture,
    check_size,
    content_size,
    filled,
    fit,
    normalise,
    resize_label_map,
)
from edgeseg.postprocess import Argmax, binary_label_map, checked_out
from edgeseg.postprocess import label_map as upsampled_label_map
from edgeseg.postprocess import probabilities as upsampled_probabilities
from edgeseg.runtime.delegates import DelegateSpec, parse_delegate, probe
from edgeseg.runtime.interpreter import Interpreter, load_delegate
from edgeseg.runtime.labels import numbered_labels
from edgeseg.runtime.signature import (
    argmax_classes,
    binary_threshold,
    inferred_input,
    input_table,
    map_output,
    output_kind,
    picture_input,
)


class Segmenter:
    """A network that is ready to segment pictures.

    Args:
        model: A `.tflite` file's path or content.
        threads: CPU threads for inference.
        delegate: As `--delegate` takes it (see `runtime.delegates`); None uses XNNPACK where it works.
        input_spec: Preprocessing; None takes the card's, or infers it for a file without one.
        labels: Classes; None takes the card's, or numbers them for a file without one.
        resize: Replaces the resize mode of the card or of what was inferred; so do mean, std and order theirs.
        mean: See `InputSpec`.
        std: See `InputSpec`.
        order: See `InputSpec`.

    Attributes:
        card: The model's card; None for a file without one.
        input: How a frame becomes the input.
        labels: The classes.
        output_kind: "logits" or "labels", what the network itself gives.
        output_size: (rows, columns) of the network's output.
        delegate: What runs it: "xnnpack", "none", or the external delegate as asked for.
        threads: CPU threads for inference.
        notices: Lines to show to the user: what was inferred, what fell back.

    Raises:
        ModelFileError: The file is missing, damaged or no segmentation network.
        DelegateError: The delegate cannot be loaded.
        UsageError: Arguments contradict the file.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        threads: int = 1,
        delegate: str | None = None,
        input_spec: InputSpec | None = None,
        labels: LabelSet | None = None,
        resize: ResizeMode | None = None,
        mean: PerChannel | None = None,
        std: PerChannel | None = None,
        order: ChannelOrder | None = None,
    ) -> None:
        if threads < 1:
            raise UsageError(f"{threads} threads: expected 1 or more")
        path = None if isinstance(model, bytes) else os.fspath(model)
        content, self.card = (model, detach(model)) if isinstance(model, bytes) else read_model(model)
        self.name = "the model" if path is None else path
        self.threads = threads
        self._notices: list[str] = []
        self._file = content
        self._interpreter, self.delegate = self._open(content, path, parse_delegate(delegate))
        self._input_tensor = picture_input(self._interpreter.inputs, self.name)
        self._output_tensor = map_output(self._interpreter.outputs, self.name)
        self.output_kind: OutputKind = output_kind(self._output_tensor)
        self.output_size = (self._output_tensor.shape[1], self._output_tensor.shape[2])
        replaced = {"resize": resize, "mean": mean, "std": std, "order": order}
        self.input = self._input_spec(
            input_spec, {name: value for name, value in replaced.items() if value is not None}
        )
        self.labels = self._label_set(labels, content)
        self._table = input_table(self.input, self._input_tensor)
        self._rgb = np.empty((self.input.height, self.input.width, self.input.channels), np.uint8)
        channels = self._output_tensor.shape[3] if self.output_kind == "logits" else 1
        self._channels = channels
        self._argmax = Argmax(*self.output_size, channels, _argmax_type(self._output_tensor.dtype))
        self._threshold = self._binary_threshold(content) if self.output_kind == "logits" and channels == 1 else 0.0
        self._content = (self.input.height, self.input.width)

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines to show to the user: what was inferred, what fell back."""
        return tuple(self._notices)

    def twin(self) -> Segmenter | None:
        """Returns another Segmenter of the same network, to be filled and read while this one runs.

        Returns:
            None where an accelerator runs it: that is one device, whatever the number of interpreters.
        """
        if self.delegate not in ("xnnpack", "none"):
            return None
        other = copy.copy(self)
        xnnpack = self.delegate == "xnnpack"
        other._interpreter = Interpreter(self._file, threads=self.threads, xnnpack=xnnpack, name=self.name)
        other._rgb = np.empty_like(self._rgb)
        other._argmax = Argmax(*self.output_size, self._channels, _argmax_type(self._output_tensor.dtype))
        return other

    def segment(self, frame: Uint8, height: int | None = None, width: int | None = None, sharp: bool = False) -> Uint8:
        """Segments one picture.

        Args:
            frame: (H, W, 3) uint8, blue-green-red, any size.
            height: Rows of the result; None for those of the network's output.
            width: Columns of the result; give both or none.
            sharp: Upsample the logits and then decide, instead of repeating decided pixels: smooth outlines.

        Returns:
            (height, width) uint8 class ids.
        """
        self.prepare(frame)
        self.invoke()
        if height is None and width is None:
            return self.label_map()
        if height is None or width is None:
            raise UsageError(f"height {height}, width {width}: give both or none")
        return self.sized_label_map(height, width, sharp=sharp)

    def prepare(self, frame: Uint8) -> None:
        """Puts a frame into the input tensor: one resize, straight into its memory where its type allows.

        Raises:
            UsageError: It is no picture, (H, W, 3) uint8.
        """
        check_picture(frame, "frame", CHANNELS.get(self.input.order, (self.input.channels,)))
        self._content = content_size(frame.shape[0], frame.shape[1], self.input)
        self.stage(frame, self._interpreter.view(self._input_tensor)[0])

    def staging(self) -> npt.NDArray[Any]:
        """Returns a new array like the input tensor, for `stage` on another thread while the network runs."""
        return np.empty(self._input_tensor.shape[1:], self._input_tensor.dtype)

    def stage(self, frame: Uint8, tensor: npt.NDArray[Any]) -> None:
        """Preprocesses a frame into `tensor`, an array from `staging`. Not for two threads at once.

        Raises:
            UsageError: The frame is no picture, (H, W, 3) uint8, or `tensor` is not like the input tensor.
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
        self._content = content_size(*frame_size, self.input)
        np.copyto(self._interpreter.view(self._input_tensor)[0], tensor)

    def invoke(self) -> None:
        """Runs the network on what was prepared; other Python threads run meanwhile.

        Raises:
            DelegateError: It failed.
        """
        self._interpreter.invoke()

    def label_map(self, out: Uint8 | None = None) -> Uint8:
        """Returns the label map of the last `invoke` at the network's output size, letterbox padding cut off.

        Args:
            out: `output_size` uint8 to work in; a new array if None.

        Returns:
            uint8 class ids; a view of `out` if it was given.

        Raises:
            UsageError: `out` is not contiguous uint8 of `output_size`.
        """
        labels = np.empty(self.output_size, np.uint8) if out is None else checked_out(out, self.output_size)
        output = self._output()
        if self.output_kind == "labels":
            np.copyto(labels, output, casting="unsafe")
        elif self._channels == 1:
            np.copyto(labels, binary_label_map(output, self._threshold))
        else:
            self._argmax(output.astype(np.float32) if output.dtype == np.float16 else output, labels)
        rows, columns = self._output_content()
        return labels[:rows, :columns]

    def sized_label_map(self, height: int, width: int, sharp: bool = False) -> Uint8:
        """Returns the label map of the last `invoke` at another size, usually the frame's.

        Args:
            height: Rows wanted.
            width: Columns wanted.
            sharp: See `segment`. A network whose output is labels already has no logits to upsample.

        Raises:
            UsageError: The size is none.
        """
        check_size(height, width)
        rows, columns = self._output_content()
        if sharp and self.output_kind == "logits" and self._channels > 1:
            full = upsampled_label_map(
                self._output(),
                round(height * self.output_size[0] / rows),
                round(width * self.output_size[1] / columns),
            )
            return np.ascontiguousarray(full[:height, :width])
        return resize_label_map(np.ascontiguousarray(self.label_map()), height, width)

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
            (height, width, classes) float32.

        Raises:
            UsageError: The network gives labels, or one channel.
        """
        logits = self.logits()
        if self._channels < 2:
            raise UsageError(f"{self.name} gives one channel, not one for each class: it has no class probabilities")
        rows, columns = self._output_content()
        logits = logits[:rows, :columns].astype(np.float32)
        tensor = self._output_tensor
        if tensor.scale:
            logits = (logits - np.float32(tensor.zero_point)) * np.float32(tensor.scale)
        return upsampled_probabilities(logits, height, width)

    def _check_tensor(self, tensor: npt.NDArray[Any]) -> None:
        if not self.fits(tensor):
            raise UsageError(
                f"the tensor is {tensor.dtype} of shape {tensor.shape}: expected {self._input_tensor.dtype} of shape "
                f"{self._input_tensor.shape[1:]}, as staging() makes it"
            )

    def _output(self) -> npt.NDArray[Any]:
        output: npt.NDArray[Any] = self._interpreter.view(self._output_tensor)[0]
        return output[:, :, 0] if self.output_kind == "labels" and output.ndim == 3 else output

    def _output_content(self) -> tuple[int, int]:
        """Rows and columns of the output that the frame covers."""
        rows, columns = self.output_size
        return (
            max(1, round(rows * self._content[0] / self.input.height)),
            max(1, round(columns * self._content[1] / self.input.width)),
        )

    def _open(self, content: bytes, path: str | None, spec: DelegateSpec) -> tuple[Interpreter, str]:
        if spec.is_external:
            probe(spec, path)
            library = load_delegate(spec.library, dict(spec.options))
            return Interpreter(content, threads=self.threads, delegate=library, name=self.name), str(spec)
        if spec.name == "none":
            return Interpreter(content, threads=self.threads, xnnpack=False, name=self.name), "none"
        try:
            return Interpreter(content, threads=self.threads, name=self.name), "xnnpack"
        except ModelFileError as error:
            if spec.name == "xnnpack":
                raise
            try:
                opened = Interpreter(content, threads=self.threads, xnnpack=False, name=self.name)
            except ModelFileError:
                raise error from None
            self._notices.append(f"XNNPACK refused this file, plain kernels run it, several times slower ({error})")
            return opened, "none"

    def _input_spec(self, given: InputSpec | None, replaced: dict[str, Any]) -> InputSpec:
        tensor = self._input_tensor
        size = tensor.shape[1:]
        if given is not None:
            spec = given
        elif self.card is not None:
            spec = self.card.input
        else:
            spec = self._inferred_spec(replaced)
        if (spec.height, spec.width, spec.channels) != size:
            raise ModelFileError(
                f"{self.name} takes {size[0]}x{size[1]}x{size[2]}, its card says "
                f"{spec.height}x{spec.width}x{spec.channels}: convert it again"
            )
        return dataclasses.replace(spec, **replaced)

    def _inferred_spec(self, told: dict[str, Any]) -> InputSpec:
        spec = inferred_input(self._input_tensor)
        if {"mean", "std"} <= told.keys():
            return spec
        order = told.get("order", spec.order).upper()
        if self._input_tensor.dtype == np.float32:
            self._notices.append(
                f"no card: assuming the float input is (pixel - {spec.mean}) / {spec.std}, {order}; "
                "say otherwise with --mean, --std and --order"
            )
        else:
            self._notices.append(f"no card: feeding {order} pixels as {self._input_tensor.dtype}, as they are")
        return spec

    def _label_set(self, given: LabelSet | None, content: bytes) -> LabelSet:
        count = self._num_classes(content)
        labels = given if given is not None else (None if self.card is None else self.card.labels)
        if labels is None:
            self._notices.append(
                f"no card: {count} classes, named class_0 to class_{count - 1}; name them with --labels"
                if count
                else "no card, and the file does not tell how many classes it has; name them with --labels"
            )
            return numbered_labels(max(2, min(count or 255, 255)))
        if count and labels.num_classes != max(2, count):
            raise UsageError(f"{self.name} has {count} classes, the label set {labels.num_classes}: give one name each")
        return labels

    def _num_classes(self, content: bytes) -> int:
        """How many classes the network tells apart; 0 if the file does not say."""
        if self.output_kind == "logits":
            return self._output_tensor.shape[3]
        return argmax_classes(content, self._output_tensor)

    def _binary_threshold(self, content: bytes) -> float:
        """The output value above which a pixel of a one-channel network is class 1."""
        real = binary_threshold(content, self._output_tensor)
        self._notices.append(f"one output channel: class 1 where it is above {real}")
        tensor = self._output_tensor
        return real / tensor.scale + tensor.zero_point if tensor.scale else real


def _argmax_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype == np.float16 else dtype
