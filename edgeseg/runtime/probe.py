"""`python -m edgeseg.runtime.probe JSON`: loads a delegate in a process of its own; see `edgeseg.runtime.delegates`."""

from __future__ import annotations

import json
import sys

from edgeseg.card_file import read_model
from edgeseg.errors import EdgesegError
from edgeseg.runtime.interpreter import Interpreter, load_delegate


def main(request: str) -> int:
    """Loads the delegate in `request`, and runs its model once if it names one.

    Args:
        request: A JSON object {library, options, model}.

    Returns:
        0, or 1 after printing the reason.
    """
    wanted = json.loads(request)
    try:
        delegate = load_delegate(wanted["library"], wanted["options"])
        if wanted["model"]:
            model, _ = read_model(wanted["model"])
            Interpreter(model, delegate=delegate, name=wanted["model"]).invoke()
    except EdgesegError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
