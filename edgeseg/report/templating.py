"""The pages' templates (Jinja2): whatever a name or a command holds is escaped, and a value that is not there fails."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_ENVIRONMENT = Environment(
    loader=PackageLoader("edgeseg.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _breakable(name: str) -> Markup:
    """Lets a long name break behind its underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


_ENVIRONMENT.filters.update({"breakable": _breakable, "base64": _base64})


def render(template: str, **values: Any) -> Markup:
    """Fills in a template of `edgeseg/report/templates`.

    Returns:
        Text that other templates take as it is.
    """
    return Markup(_ENVIRONMENT.get_template(template).render(values))
