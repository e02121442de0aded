"""Importing ONNX in tests: with the comparison, or expecting a refusal."""

from __future__ import annotations

import onnx
import pytest

from glocert.errors import GlocertError
from glocert.graph.compare import compare
from glocert.graph.imported import Imported
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_runtime import original


def imported(proto: onnx.ModelProto, **options: object) -> Imported:
    """Import, and check against onnxruntime."""
    data = proto.SerializeToString()
    result = read_onnx(data, **options)
    compare(result, original(data, result.output), "onnxruntime")
    return result


def refusal(kind: type[GlocertError], proto: onnx.ModelProto, **options: object) -> GlocertError:
    with pytest.raises(kind) as caught:
        read_onnx(proto.SerializeToString(), **options)
    return caught.value
