"""`python -m edgeseg.runtime.probe JSON`: loads a delegate in a process of its own; see `edgeseg.runtime.delegates`."""

from __future__ import annotations

import json
import sys

from edgeseg.card_file import read_model
from edgeseg.errors import EdgesegError
from edgeseg.runtime.delegates import DelegateSpec
from edgeseg.runtime.litert import Interpreter, load_delegate
from edgeseg.runtime.protocol import OpenOptions


def main(request: str) -> int:
    """Loads the delegate in `request`, and runs its model once if it names one.

    Args:
        request: A JSON object {library, options, model, size}.

    Returns:
        0, or 1 after printing the reason.
    """
    wanted = json.loads(request)
    try:
        handle = load_delegate(wanted["library"], wanted["options"])
        if wanted["model"]:
            model, _ = read_model(wanted["model"])
            options = OpenOptions(name=wanted["model"], size=wanted["size"] and tuple(wanted["size"]))
            spec = DelegateSpec(name="external", library=wanted["library"])
            Interpreter(model, options, spec, handle=handle).invoke()
    except EdgesegError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
