"""Data sets that are larger, deeper or other than they look."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np

from tests.fuzz.seeds import archive
from tests.hostile.containers import GIB, zeros, zipped
from tests.hostile.registry import hostile


def _npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + content


def _claiming(shape: str, kind: str = "|u1") -> bytes:
    return _npy(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}", bytes(64))


@hostile("data-bomb.npz")
def npz_bomb() -> bytes:
    """Eight gigabytes of pixels that are all zero."""
    head = _claiming("(8192, 1024, 1024)")[:-64]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return zipped("images.npy", start + zeros(8 * GIB), 8 * GIB)


@hostile("data-header-huge.npy")
def header_huge() -> bytes:
    """An array that says it has 2^60 pixels."""
    return _claiming("(1152921504606846976,)")


@hostile("data-header-overflow.npy")
def header_overflow() -> bytes:
    """An array whose number of pixels overflows to four."""
    return _claiming("(4611686018427387905, 4)")


@hostile("data-header-negative.npy")
def header_negative() -> bytes:
    """An array of minus eight by minus eight."""
    return _claiming("(-8, -8)")


@hostile("data-header-deep.npy")
def header_deep() -> bytes:
    """A header in a hundred thousand brackets."""
    return _npy("(" * 100_000 + ")" * 100_000)


@hostile("data-header-long.npy")
def header_long() -> bytes:
    """A header of fifty megabytes."""
    return _npy(" " * 50_000_000)


@hostile("data-header-object.npy")
def header_object() -> bytes:
    """An array of Python objects."""
    return _claiming("(1,)", "|O")


@hostile("data-header-structure.npy")
def header_structure() -> bytes:
    """An array of structures with ten thousand fields."""
    fields = ", ".join(f"('f{place}', '<f8')" for place in range(10_000))
    return _npy(f"{{'descr': [{fields}], 'fortran_order': False, 'shape': (1,)}}", bytes(80_000))


@hostile("data-rank.npy")
def rank() -> bytes:
    """An array of sixty axes."""
    return _claiming(str((1,) * 60))


@hostile("data-many-arrays.npz")
def many_arrays() -> bytes:
    """An npz of thirty thousand arrays."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(1))
    return archive({f"a{place}.npy": buffer.getvalue() for place in range(30_000)})


def _png(width: int, height: int, *chunks: tuple[bytes, bytes], pixels: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", head), *chunks, (b"IDAT", pixels), (b"IEND", b"")):
        made += (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )
    return made


def _pictures(picture: bytes, name: str = "0.png") -> bytes:
    return archive({"labels.csv": f"file,label\n{name},0\n".encode(), name: picture})


@hostile("data-picture-bomb.zip")
def picture_bomb() -> bytes:
    """A picture of 50,000 by 50,000 white pixels in a few megabytes."""
    return _pictures(_png(50_000, 50_000, pixels=b"\x78\xda" + zeros(2_500_000_000)))


@hostile("data-picture-wide.zip")
def picture_wide() -> bytes:
    """A picture of 2^31 by one pixels."""
    return _pictures(_png(2**31 - 1, 1, pixels=zlib.compress(bytes(100))))


@hostile("data-picture-text.zip")
def picture_text() -> bytes:
    """A picture with a compressed comment of two gigabytes."""
    text = b"Comment\0\0" + b"\x78\xda" + zeros(2 * GIB)
    return _pictures(_png(1, 1, (b"zTXt", text), pixels=zlib.compress(bytes(2))[:4]))


@hostile("data-picture-elsewhere.zip")
def picture_elsewhere() -> bytes:
    """A label for a picture at a path outside the archive."""
    return archive({"labels.csv": b"file,label\n/etc/passwd,0\n", "0.png": _png(1, 1)})


@hostile("data-picture-other.zip")
def picture_other() -> bytes:
    """A PostScript file that is called a picture."""
    return _pictures(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")


@hostile("data-picture-lzma.zip")
def picture_lzma() -> bytes:
    """A picture that was compressed by a method that takes as much memory as it likes, and is damaged."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("labels.csv", "file,label\n0.png,0\n")
        made.writestr("0.png", _png(1, 1) * 100)
    return buffer.getvalue()[:80] + bytes([255] * 8) + buffer.getvalue()[88:]


@hostile("data-wide.csv")
def csv_wide() -> bytes:
    """A row of five million numbers, and one that is no number at the end."""
    return b"1," * 5_000_000 + b"x\n"


@hostile("data-long-cell.csv")
def csv_long_cell() -> bytes:
    """A cell of thirty million digits."""
    return b"1," + b"9" * 30_000_000 + b"\n"


@hostile("data-quotes.csv")
def csv_quotes() -> bytes:
    """A quotation that never ends."""
    return b'1,"' + b"2\n" * 1_000_000


@hostile("data-digits.csv")
def csv_digits() -> bytes:
    """Numbers in digits of another script, and underscores."""
    return "1,٣,1_0\n".encode()


@hostile("data-infinite.csv")
def csv_infinite() -> bytes:
    """Words that Python takes for numbers."""
    return b"1,nan,1e999\n"
