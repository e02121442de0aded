"""One unit of work: the inputs of a job through the engine, their counterexamples confirmed and drawn.

Entry points for the certification child, all of them free of HTTP, database and queue::

    from glocert.certification.accuracy import clean_accuracy
    from glocert.certification.case import Case
    from glocert.certification.unit import run

    case = Case(graph=Path("graph.safetensors"), inputs=Path("inputs.npy"), labels=Path("labels.npy"),
                preprocessing=Preprocessing.from_json(...))
    clean_accuracy(case, indices, device="cpu")  # -> {"clean_accuracy", "inputs", "correct"[, "warning"]}
    for report in run(case, SegmentSpec.from_json(body), indices, out, device="cpu", block_bytes=64 * 2**20):
        ...  # one InputReport each, as it is done; its pictures lie in out/<index>/, named by report.files

``run`` also takes a ``journal.Journal``: it hears what is proven of an input that takes long, and gives a
later run what an interrupted one has proven.

Both raise ``InvalidSpec`` when the request does not fit the network or the data.
"""
