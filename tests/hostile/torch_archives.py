"""TorchScript archives whose code or pickles go too far."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.fuzz.seeds import archive, own
from tests.hostile.registry import hostile

Members = dict[str, bytes]
SHAPE = (4,)


@functools.cache
def _members(name: str) -> Members:
    data = next(seed.data for seed in own() if seed.name == name)
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        return {member: found.read(member) for member in found.namelist()}


def _changed(ending: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return the dense network with one member changed."""
    members = _members("dense.pt")
    name = next(name for name in members if name.endswith(ending))
    return archive(members | {name: change(members[name])})


def _returning(expression: str, *more: str) -> bytes:
    """Return the dense network with its activation function replaced by an expression of ``argument_1``."""
    old, new = b"    return torch.relu(argument_1)\n", "".join(f"    {line}\n" for line in more)
    return _changed(
        "activation.py", lambda code: code.replace(old, f"{new}    return {expression}\n".encode())
    )


@hostile("code-deep.pt", SHAPE)
def code_deep() -> bytes:
    """An expression in a hundred thousand brackets."""
    return _returning("(" * 100_000 + "argument_1" + ")" * 100_000)


@hostile("code-deep-calls.pt", SHAPE)
def code_deep_calls() -> bytes:
    """Calls in calls, thirty thousand deep."""
    return _returning("torch.neg(" * 30_000 + "argument_1" + ")" * 30_000)


@hostile("code-deep-attributes.pt", SHAPE)
def code_deep_attributes() -> bytes:
    """A chain of a hundred thousand attributes."""
    return _returning("argument_1" + ".T" * 100_000)


@hostile("code-deep-sums.pt", SHAPE)
def code_deep_sums() -> bytes:
    """A sum of a hundred thousand terms, which is a tree as deep."""
    return _returning("argument_1" + " + argument_1" * 100_000)


@hostile("code-deep-minus.pt", SHAPE)
def code_deep_minus() -> bytes:
    """A hundred thousand signs in front of a name."""
    return _returning("-" * 100_000 + "argument_1")


@hostile("code-deep-blocks.pt", SHAPE)
def code_deep_blocks() -> bytes:
    """Branches in branches, two thousand deep."""
    lines = [f"{' ' * depth}if True:" for depth in range(2_000)] + [f"{' ' * 2_000}y = argument_1"]
    return _returning("argument_1", *lines)


@hostile("code-deep-types.pt", SHAPE)
def code_deep_types() -> bytes:
    """A list of lists of lists, fifty thousand deep, as a type."""
    return _returning("argument_1", "y : " + "List[" * 50_000 + "int" + "]" * 50_000 + " = []")


@hostile("code-long.pt", SHAPE)
def code_long() -> bytes:
    """Four hundred thousand lines of code."""
    return _returning("argument_1", *["argument_1 = torch.neg(argument_1)"] * 400_000)


@hostile("code-recursion.pt", SHAPE)
def code_recursion() -> bytes:
    """A forward that calls itself."""
    return _returning("(self).forward(argument_1, )")


@hostile("code-doubling.pt", SHAPE)
def code_doubling() -> bytes:
    """A tensor that is joined to itself forty times."""
    lines = [f"argument_1 = torch.cat([argument_1, argument_1], {place % 2})" for place in range(40)]
    return _returning("argument_1", *lines)


@hostile("code-inlining.pt", SHAPE)
def code_inlining() -> bytes:
    """Thirty methods that each call the one before twice: 2^30 nodes once inlined."""
    kind = "__torch__.torch.nn.modules.activation.ReLU"
    head = f"  def m0(self: {kind},\n    x: Tensor) -> Tensor:\n    return torch.relu(x)\n"
    methods = [head]
    for place in range(1, 31):
        call = f"(self).m{place - 1}((self).m{place - 1}(x, ), )"
        methods.append(head.replace("m0", f"m{place}").replace("torch.relu(x)", call))
    code = _returning("(self).m30(argument_1, )")
    with zipfile.ZipFile(io.BytesIO(code)) as found:
        members = {member: found.read(member) for member in found.namelist()}
    name = next(name for name in members if name.endswith("activation.py"))
    return archive(members | {name: members[name] + "".join(methods).encode()})


@hostile("code-inlining-functions.pt", SHAPE)
def code_inlining_functions() -> bytes:
    """The same with thirty functions that belong to no module."""
    head = "def f0(x: Tensor) -> Tensor:\n  return torch.relu(x)\n"
    functions = [head]
    for place in range(1, 31):
        call = f"__torch__.f{place - 1}(__torch__.f{place - 1}(x, ), )"
        functions.append(head.replace("f0", f"f{place}").replace("torch.relu(x)", call))
    code = _returning("__torch__.f30(argument_1, )")
    with zipfile.ZipFile(io.BytesIO(code)) as found:
        members = {member: found.read(member) for member in found.namelist()}
    folder = next(name for name in members if name.endswith("activation.py")).split("/code/")[0]
    return archive(members | {f"{folder}/code/__torch__.py": "".join(functions).encode()})


@hostile("code-from-file.pt", SHAPE)
def code_from_file() -> bytes:
    """A forward that reads the password file."""
    return _returning("torch.add(argument_1, torch.from_file('/etc/passwd', False, 24))")


@hostile("code-zeros.pt", SHAPE)
def code_zeros() -> bytes:
    """A forward that asks for a trillion zeros."""
    return _returning("torch.add(argument_1, torch.zeros([1000000000000]))")


@hostile("code-expand.pt", SHAPE)
def code_expand() -> bytes:
    """A forward that repeats its input a trillion times."""
    return _returning("torch.repeat(argument_1, [1000000000000, 1])")


@hostile("code-print.pt", SHAPE)
def code_print() -> bytes:
    """A forward that prints."""
    return _returning("argument_1", 'print("x")')


@hostile("code-while.pt", SHAPE)
def code_while() -> bytes:
    """A loop without an end at the beginning of forward."""
    return _returning("argument_1", "while True:", "  argument_1 = torch.neg(argument_1)")


@hostile("pickle-deep.pt", SHAPE)
def pickle_deep() -> bytes:
    """A pickle of a million tuples in tuples."""
    return _changed("constants.pkl", lambda _: b"\x80\x02)" + b"\x85" * 1_000_000 + b".")


@hostile("pickle-deep-lists.pt", SHAPE)
def pickle_deep_lists() -> bytes:
    """A pickle of a hundred thousand lists in lists."""
    return _changed("constants.pkl", lambda _: b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".")


@hostile("pickle-endless-number.pt", SHAPE)
def pickle_number() -> bytes:
    """A pickle of a number that claims two gigabytes."""
    return _changed("constants.pkl", lambda _: b"\x80\x02\x8b\xff\xff\xff\x7f\x01.")


@hostile("pickle-memo.pt", SHAPE)
def pickle_memo() -> bytes:
    """A pickle that puts something into place four billion."""
    return _changed("data.pkl", lambda data: data[:2] + b"Nr\xff\xff\xff\xff0" + data[2:])


@hostile("version-far.pt", SHAPE)
def version_far() -> bytes:
    """An archive of a version from the future."""
    return _changed("/version", lambda _: b"99999999999999999999\n")


class _Huge(nn.Module):
    """Computes a large constant while it runs."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x[:, None, None], scale_factor=[1e5, 1e5])[:, 0, 0, :3]


@hostile("interpolate-bomb.pt", SHAPE)
def interpolate() -> bytes:
    """An interpolation to a hundred thousand times the size, of which three numbers are kept."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(_Huge()), buffer)
    return buffer.getvalue()
