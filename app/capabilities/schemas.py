"""Answer of ``/v1/capabilities``."""

from __future__ import annotations

from app.schemas import Answer


class Capabilities(Answer):
    version: str
    authentication: str
    """`open` (this machine only, without keys) or `keys`"""
    kinds: list[str]
    analyses: list[str]
    arithmetics: list[str]
    mutations: dict[str, str]
    """type and unit of its parameter"""
    properties: list[str]
    """of segment certifications"""
    laws: list[str]
    """of a mutation's parameter"""
    model_formats: list[str]
    roles: list[str]
    dataset_formats: list[str]
    operators: list[str]
    """of uploaded networks, under ONNX names"""
    sandbox: str
    """`require`: uploads are refused where a layer of the lock-down is missing; or `best-effort`"""
    scopes: list[str]
    limits: dict[str, float]
    """settings that bound what is taken"""
