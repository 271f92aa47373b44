"""HTTP/1.1 by hand: requests off a socket, answers onto it. Small, because only one kind of peer talks to it."""

import gzip
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

MAX_LINE = 1 << 16
MAX_HEADERS = 100
HALT = b"HTTP/1.1 100 Continue\r\n\r\n"


class BadRequestError(Exception):
    """What came in is not HTTP."""


@dataclass(frozen=True)
class Request:
    """A request: header names are lower-case."""

    verb: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True)
class Answer:
    """An answer on its way out.

    status     0 = none: the connection is closed without a word
    location   where the portal lives now
    cut        how many bytes of the body are sent before the connection is closed; None = all
    """

    status: int
    body: bytes
    kind: str = "application/json; charset=utf-8"
    location: str = ""
    cut: int | None = None


def read_request(source: BinaryIO, sink: socket.socket) -> Request | None:
    """The next request on a connection; None where the peer has closed it."""
    line = source.readline(MAX_LINE)
    while line in (b"\r\n", b"\n"):
        line = source.readline(MAX_LINE)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise BadRequestError(line[:80].decode("latin-1"))
    headers = _headers(source)
    if headers.get("expect", "").lower() == "100-continue":
        sink.sendall(HALT)
    target, _, query = words[1].partition("?")
    wish = headers.get("connection", "").lower()
    keep = wish != "close" and (words[2] != "HTTP/1.0" or wish == "keep-alive")
    return Request(words[0].upper(), target, query, headers, _body(source, headers), keep)


def write_answer(sink: socket.socket, request: Request | None, answer: Answer, *, zipped: bool = False) -> bool:
    """An answer with its length; returns whether the connection goes on.

    Head and body go out apart when the body is long, to spare a copy.
    """
    if not answer.status:
        return False
    body, keep = answer.body, request is not None and request.keep_alive and answer.cut is None
    head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"Content-Type: {answer.kind}"]
    if zipped and request is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 1)
        head.append("Content-Encoding: gzip")
    if answer.location:
        head.append(f"Location: {answer.location}")
    head += [f"Content-Length: {len(body)}", f"Connection: {'keep-alive' if keep else 'close'}"]
    text = "\r\n".join([*head, "", ""]).encode("latin-1")
    if request is not None and request.verb == "HEAD":
        body = b""
    if answer.cut is not None:
        body = body[: min(answer.cut, len(body) // 2)]
    if len(body) < MAX_LINE:
        sink.sendall(text + body)
    else:
        sink.sendall(text)
        sink.sendall(body)
    return keep


def _headers(source: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS):
        line = source.readline(MAX_LINE).decode("latin-1").rstrip("\r\n")
        if not line:
            return headers
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    raise BadRequestError("too many headers")


def _body(source: BinaryIO, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(source)
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise BadRequestError("bad length")
    return source.read(int(length))


def _chunks(source: BinaryIO) -> bytes:
    pieces = []
    while size := int(source.readline(MAX_LINE).partition(b";")[0].strip() or b"0", 16):
        pieces.append(source.read(size))
        source.readline(MAX_LINE)
    while source.readline(MAX_LINE).strip():
        continue
    return b"".join(pieces)
