"""Uploaded data sets: checked and turned into plain arrays inside the locked-down child.

Entry point::

    from glocert.data.inspect import inspect_dataset
    from glocert.data.limits import DataLimits

    report = inspect_dataset(path, out, filename="digits.npz", limits=DataLimits())
"""
