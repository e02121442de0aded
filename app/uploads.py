"""Uploads: a multipart form read as it streams, the file straight into the store.

Starlette would first spool the whole body; a file over the limit has to be refused while it comes in.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from app.errors import InvalidRequest, MalformedRequest, UnsupportedMediaType
from app.limits import Limit
from app.storage import BlobStore, Incoming
from glocert.errors import Offence

FIELD_BYTES = 64 * 2**10
FORM_BYTES = 2**20
"""What a form may weigh besides its file."""
PARTS = 32
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that was read to its end; the file is not kept yet."""

    file: Incoming
    filename: str
    fields: dict[str, str]


@asynccontextmanager
async def receive(
    request: Request, store: BlobStore, limit: Limit, names: frozenset[str]
) -> AsyncIterator[Upload]:
    """Read the form of a request; what was written is gone at the end unless it was kept.

    Args:
        request: its body is a multipart form with one ``file``.
        store: where the file goes.
        limit: of the file.
        names: fields that the form may have besides.

    Raises:
        UnsupportedMediaType: the body is no multipart form.
        MalformedRequest: the form breaks off or breaks its own rules.
        InvalidRequest: a field is unknown, doubled or no text; the file is missing or empty.
        PayloadTooLarge: raised as soon as the limit is passed; the rest is not read.
    """
    boundary = _boundary(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit.max_bytes + FORM_BYTES:
        raise limit.refuse("The body")
    with store.incoming() as file:
        form = _Form(file, limit, names)
        parser = _parser(boundary, form)
        async for chunk in request.stream():
            await run_in_threadpool(form.feed, parser, chunk)
        yield form.upload()


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        shown = kind.decode("latin-1") or "no Content-Type"
        raise UnsupportedMediaType(f"A multipart/form-data body with a part `file` is needed, not {shown}.")
    if not options.get(b"boundary"):
        raise MalformedRequest("The Content-Type of the form names no boundary.")
    return options[b"boundary"]


def _parser(boundary: bytes, form: _Form) -> MultipartParser:
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_field,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_headers_finished": form.headers_finished,
                "on_part_data": form.data,
                "on_end": form.end,
            },
        )
    except FormParserError as error:
        raise MalformedRequest("The boundary of the form is too long.") from error


@dataclass
class _Form:
    """What the parser has seen so far."""

    file: Incoming
    limit: Limit
    names: frozenset[str]
    filename: str | None = None
    fields: dict[str, bytearray] = field(default_factory=dict)
    parts: int = 0
    size_bytes: int = 0
    ended: bool = False
    _name: str = ""
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _headers: dict[bytes, bytes] = field(default_factory=dict)

    def feed(self, parser: MultipartParser, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        if self.size_bytes > self.limit.max_bytes + FORM_BYTES:
            raise self.limit.refuse("The body")
        if self.ended:
            return
        try:
            parser.write(chunk)
        except FormParserError as error:
            raise MalformedRequest("The body is not a well-formed multipart form.") from error

    def begin(self) -> None:
        self.parts += 1
        if self.parts > PARTS:
            raise MalformedRequest(f"The form has more than {PARTS} parts.")
        self._headers = {}

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def headers_finished(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise MalformedRequest("A part of the form has no name.")
        self._name = options[b"name"].decode("utf-8", "replace")
        if self._name == "file":
            self._begin_file(options.get(b"filename", b""))
        elif self._name not in self.names:
            shown = CONTROL.sub("?", self._name)[:100]
            allowed = ", ".join(["file", *sorted(self.names)])
            raise InvalidRequest(
                "The form has an unknown field.",
                [Offence(shown, f"There is no such field; there are {allowed}.")],
            )
        elif self._name in self.fields:
            raise InvalidRequest("The form has a field twice.", [Offence(self._name, "It comes twice.")])
        else:
            self.fields[self._name] = bytearray()

    def _begin_file(self, filename: bytes) -> None:
        if self.filename is not None:
            raise InvalidRequest("The form has more than one file.", [Offence("file", "It comes twice.")])
        text = CONTROL.sub("", filename.decode("utf-8", "replace")).replace("\\", "/")
        self.filename = PurePosixPath(text).name[-200:] or "upload"

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            if self.file.size_bytes + end - start > self.limit.max_bytes:
                raise self.limit.refuse("The file")
            self.file.write(memoryview(data)[start:end])
            return
        value = self.fields[self._name]
        if len(value) + end - start > FIELD_BYTES:
            raise Limit(FIELD_BYTES, "").refuse(f"The field {self._name}")
        value += data[start:end]

    def end(self) -> None:
        self.ended = True

    def upload(self) -> Upload:
        if not self.ended:
            raise MalformedRequest("The form breaks off before its last boundary.")
        if self.filename is None:
            raise InvalidRequest("The form has no file.", [Offence("file", "The part `file` is missing.")])
        if not self.file.size_bytes:
            raise InvalidRequest("The file is empty.", [Offence("file", "It has no bytes.")])
        return Upload(
            self.file, self.filename, {name: _text(name, data) for name, data in self.fields.items()}
        )


def _text(name: str, data: bytearray) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("A field is not text.", [Offence(name, "It is not UTF-8.")]) from error
