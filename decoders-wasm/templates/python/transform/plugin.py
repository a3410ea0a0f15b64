"""`my-plugin`: joins labels of a row into one.

Settings:

    labels: [source, destination]  # which, at least two; the first gives its place to the joined one
    to: path                       # the name of the joined one
    separator: "-"                 # what stands between their values; a hyphen if it is left out
"""

import json
from itertools import accumulate

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.transforming import Answers, Metric, RowOutcome_Error, RowOutcome_Labels, Rows, Values


class Join:
    """What is joined. The exporter shows the text of an Err, and does not start."""

    def __init__(self, settings: dict, metric: Metric) -> None:
        labels, to = settings.pop("labels", None), settings.pop("to", None)
        self.separator = settings.pop("separator", "-")
        for key in settings:
            raise Err(f'settings: "{key}" is unknown; there are labels, to and separator')
        if not isinstance(labels, list) or len(labels) < 2:
            raise Err("labels: name two labels or more")
        if not isinstance(to, str) or not isinstance(self.separator, str):
            raise Err("to and separator: each has to be a text")
        self.width = len(metric.labels)
        self.joined = [place(label, metric) for label in labels]
        self.kept = [at for at in range(self.width) if at not in self.joined[1:]]
        self.names = [to if at == self.joined[0] else metric.labels[at] for at in self.kept]

    def row(self, values: list[str]) -> list[str]:
        whole = self.separator.join(values[at] for at in self.joined)
        return [whole if at == self.joined[0] else values[at] for at in self.kept]


def place(label: object, metric: Metric) -> int:
    if label not in metric.labels:
        names = ", ".join(metric.labels)
        raise Err(f"metric {metric.name} has no label {json.dumps(label)}; name one of: {names}")
    return metric.labels.index(label)


def cut(values: Values) -> list[str]:
    """The texts of a buffer. Their ends are those of UTF-8."""
    text = values.text.encode()
    return [text[start:end].decode() for start, end in zip([0, *values.ends], values.ends)]


def put(texts: list[str]) -> Values:
    """The buffer of these texts."""
    return Values("".join(texts), list(accumulate(len(text.encode()) for text in texts)))


def told(problem: Exception) -> str:
    """What an exception says, and where it was raised."""
    at = problem.__traceback__
    while at.tb_next:
        at = at.tb_next
    file = at.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{file}:{at.tb_lineno}: {type(problem).__name__}: {problem}"


class Transforming(exports.Transforming):
    """What the exporter calls. Each call comes to an object of its own, so that the settings are the class's.

    An exception that leaves one of these is a trap. It costs all answers of the call, and nobody sees its text.
    """

    join: Join

    def configure(self, settings: str, metric: Metric) -> list[str]:
        try:
            Transforming.join = Join(json.loads(settings), metric)
        except Err:
            raise
        except Exception as problem:
            raise Err(told(problem)) from problem
        return self.join.names

    def transform(self, rows: Rows) -> Answers:
        values, width = cut(rows.values), self.join.width
        outcomes, answers = [], []
        for row in range(rows.count):
            try:
                answers += self.join.row(values[row * width : (row + 1) * width])
                # RowOutcome_Drop() leaves the row out: it has no answers then.
                outcomes.append(RowOutcome_Labels())
            except Exception as problem:
                outcomes.append(RowOutcome_Error(told(problem)))
        return Answers(outcomes, put(answers))
