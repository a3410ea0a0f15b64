// The files of rendered/, each as a text: render.py writes them.
(import 'mixin.libsonnet').files
