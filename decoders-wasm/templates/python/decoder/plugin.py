"""`my-plugin`: a text → the name that the settings have for it.

Settings, which may all be left out:

    names: {bash: shell, sh: shell}  # text: name
    default: other                   # for texts without a name; without it, such a text is an error
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.decoding import Batch, Outcome, Outcome_Error, Outcome_Label


class Names:
    """What the settings say. The exporter shows the text of an Err, and does not start."""

    def __init__(self, settings: dict) -> None:
        names, self.default = settings.pop("names", {}), settings.pop("default", None)
        for key in settings:
            raise Err(f'settings: "{key}" is unknown; there are names and default')
        if not isinstance(names, dict):
            raise Err("names: has to be a mapping of texts to names")
        if not all(isinstance(name, str) for name in names.values()):
            raise Err("names: each name has to be a text")
        if not isinstance(self.default, str | None):
            raise Err("default: has to be a text")
        self.names = {text.encode(): name for text, name in names.items()}

    def outcome(self, input: bytes) -> Outcome:
        name = self.names.get(input, self.default)
        return Outcome_Error("it has no name, and there is no default") if name is None else Outcome_Label(name)


def told(problem: Exception) -> str:
    """What an exception says, and where it was raised."""
    at = problem.__traceback__
    while at.tb_next:
        at = at.tb_next
    file = at.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{file}:{at.tb_lineno}: {type(problem).__name__}: {problem}"


class Decoding(exports.Decoding):
    """What the exporter calls. Each call comes to an object of its own, so that the settings are the class's.

    An exception that leaves one of these is a trap. It costs all answers of the call, and nobody sees its text.
    """

    names: Names

    def configure(self, settings: str) -> None:
        try:
            Decoding.names = Names(json.loads(settings))
        except Err:
            raise
        except Exception as problem:
            raise Err(told(problem)) from problem

    def decode(self, inputs: Batch) -> list[Outcome]:
        starts = [0, *inputs.ends]
        return [self.answer(inputs.bytes[start:end]) for start, end in zip(starts, inputs.ends)]

    def answer(self, input: bytes) -> Outcome:
        try:
            return self.names.outcome(input)
        except Exception as problem:
            return Outcome_Error(told(problem))
