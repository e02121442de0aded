"""The form domain: proven first-order bounds of every activation on parts of a path, for any network.

``prepare`` makes a program of a graph, ``certify`` decides one segment by bounding and splitting. How every
number is proven is written down in ``docs/methods/forms.md``.
"""
