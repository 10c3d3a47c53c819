"""All architectures by name, and building one."""

from __future__ import annotations

from types import ModuleType
from typing import Any, cast, get_args

from edgeseg.architectures.architecture import OWN_ENCODER, Architecture, NetworkForm
from edgeseg.architectures.backbones.registry import parse_backbone
from edgeseg.architectures.network import NetworkSpec
from edgeseg.card import Form
from edgeseg.errors import UsageError, unknown_name
from edgeseg.plugins import Registry

_HERE = "edgeseg.architectures"
ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture",
    _HERE,
    {
        "fcn32s": f"{_HERE}.fcn:FCN32S",
        "fcn16s": f"{_HERE}.fcn:FCN16S",
        "fcn8s": f"{_HERE}.fcn:FCN8S",
        "unet": f"{_HERE}.unet:UNET",
        "unet_unpadded": f"{_HERE}.unet:UNET_UNPADDED",
        "pspnet": f"{_HERE}.pspnet:PSPNET",
        "deeplabv1": f"{_HERE}.deeplab:DEEPLABV1",
        "deeplabv2": f"{_HERE}.deeplab:DEEPLABV2",
        "deeplabv2_multiscale": f"{_HERE}.deeplab:DEEPLABV2_MULTISCALE",
        "deeplabv3": f"{_HERE}.deeplab:DEEPLABV3",
        "deeplabv3plus": f"{_HERE}.deeplab:DEEPLABV3PLUS",
        "panoptic_deeplab": f"{_HERE}.panoptic_deeplab:PANOPTIC_DEEPLAB",
        "parsenet": f"{_HERE}.parsenet:PARSENET",
    },
    Architecture,
)


DEFAULT_BACKBONE = "mobilenetv2_0.5"
"""Of the forms that take any."""


def list_architectures(form: Form | None = None) -> list[str]:
    """Returns the names of the architectures that there are, other packages' among them.

    Args:
        form: "edge" or "paper", for those that have this form; all if None.

    Raises:
        UsageError: The form is unknown.
        PluginError: A package's architecture cannot be loaded.
    """
    if form is None:
        return list(ARCHITECTURES)
    return [name for name, architecture in ARCHITECTURES.items() if known_form(form) in architecture.forms]


def known_form(name: str) -> Form:
    """Returns `name` as a form's name.

    Raises:
        UsageError: No form is called so.
    """
    if name not in get_args(Form):
        raise unknown_name("form", name, get_args(Form))
    return cast(Form, name)


def find_form(name: str, form: Form) -> NetworkForm:
    """Returns a form of the architecture called `name`.

    Raises:
        UsageError: No architecture is called so, or it does not have that form; those that have it are named.
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, list_architectures(form))
    forms = ARCHITECTURES[name].forms
    if form not in forms:
        others = ", ".join(list_architectures(form))
        raise UsageError(f"{name} has no {form} form: expected its {' or '.join(forms)} form, or one of {others}")
    return forms[form]


def describe_network(
    architecture: str,
    *,
    num_classes: int,
    size: tuple[int, int],
    backbone: str | None = None,
    form: Form = "edge",
    output_stride: int | None = None,
    channels: int = 3,
) -> NetworkSpec:
    """Describes a network and checks it; backbone and output stride are the form's usual ones if None.

    Raises:
        UsageError: As `check_network`.
    """
    usual = find_form(architecture, known_form(form))
    spec = NetworkSpec(
        architecture=architecture, num_classes=num_classes, height=size[0], width=size[1], form=form,
        backbone=backbone or (usual.backbones[0] if usual.backbones else DEFAULT_BACKBONE),
        output_stride=output_stride or usual.strides[0], channels=channels,
    )  # fmt: skip
    check_network(spec)
    return spec


def check_network(spec: NetworkSpec) -> NetworkForm:
    """Checks a spec against the form that it asks for; the one place where that is done.

    Returns:
        The form.

    Raises:
        UsageError: There is no such form, or it does not take the backbone, the output stride or the size.
    """
    form = find_form(spec.architecture, spec.form)
    wanted = f"for the {spec.form} form of {spec.architecture}"
    if form.backbones and spec.backbone.split("_")[0] not in form.backbones:
        raise UsageError(f"backbone '{spec.backbone}' {wanted}: expected {' or '.join(form.backbones)}")
    if form.backbones != OWN_ENCODER:
        parse_backbone(spec.backbone)
    if spec.output_stride not in form.strides:
        known = " or ".join(map(str, form.strides))
        raise UsageError(f"output stride {spec.output_stride} {wanted}: expected {known}")
    for check in form.checks:
        check(spec)
    return form


def build_network(K: ModuleType, spec: NetworkSpec, *, batch_size: int | None = None) -> Any:
    """Builds a network.

    Args:
        K: The module `keras` or `tf_keras`.
        spec: What to build.
        batch_size: A fixed batch size, as conversion wants it (1), or None for any.

    Returns:
        A `K.Model` from (batch, H, W, channels) float images to logits (batch, h, w, num_classes).

    Raises:
        UsageError: The architecture or its backbone is unknown, or the spec does not fit, see `check_network`.
    """
    form = check_network(spec)
    image = K.Input(batch_shape=(batch_size, *spec.size, spec.channels), name="image")
    logits = form.build(K, image, spec)
    return K.Model(image, logits, name=spec.architecture)
