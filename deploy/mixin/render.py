#!/usr/bin/env python3
"""Renders this mixin into a folder: render.py FOLDER. `make mixin` calls it.

It needs gojsonnet of PyPI. Without it, the command jsonnet does the same: jsonnet -S -m FOLDER render.jsonnet,
where FOLDER/dashboards is there.
"""

import json
import pathlib
import sys

import _gojsonnet

here, folder = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1])
for name, text in json.loads(_gojsonnet.evaluate_file(str(here / "render.jsonnet"))).items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
