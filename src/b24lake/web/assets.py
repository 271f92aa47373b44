"""Static files: read once, compressed once, and named with their checksum so that browsers may keep them for good."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import Request, Response

STATIC = Path(__file__).parent / "static"
_FOR_GOOD = "public, max-age=31536000, immutable"
_LEAST = 500  # bytes below which nothing is compressed
_TEXT = {"text/css", "text/javascript", "image/svg+xml", "application/json"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent; `packed` is its gzip form, None where that is no gain."""

    content: bytes
    packed: bytes | None
    kind: str
    checksum: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every static file by its path, as `vendor/htmx.min.js`."""
    files = sorted(path for path in STATIC.rglob("*") if path.is_file())
    return {path.relative_to(STATIC).as_posix(): _asset(path) for path in files}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # mtime=0: the same bytes on every machine.
    packed = gzip.compress(content, 6, mtime=0) if kind in _TEXT and len(content) > _LEAST else None
    return Asset(content, packed, kind, hashlib.sha256(content).hexdigest()[:12])


def url(name: str) -> str:
    """Where a page finds a static file. Raises KeyError where there is none."""
    return f"/static/{name}?v={assets()[name].checksum}"


def send(name: str, request: Request) -> Response:
    """A static file, or 404. One whose checksum is in the address never changes."""
    asset = assets().get(name)
    if asset is None:
        return Response(status_code=404)
    named = request.query_params.get("v") == asset.checksum
    headers = {"Cache-Control": _FOR_GOOD if named else "no-cache", "ETag": f'"{asset.checksum}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    content = asset.content
    if asset.packed is not None:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = asset.packed, "gzip"
    return Response(content, media_type=asset.kind, headers=headers)
