"""The playground at /: a static page that tries every task in the browser, and the policy that keeps it to itself."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.errors import Problem

FOLDER = Path(__file__).resolve().parent / "playground"
PAGE = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# blob: is what the visitor chose or the server answered, and never leaves the browser.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{directive} {sources}" for directive, sources in POLICY.items()),
    "Cache-Control": "no-cache",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page, as it is sent."""

    content: bytes
    media_type: str
    etag: str


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """The files of the page, by name; those of other types stay at home."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES]
    return {path.name: _asset(path.read_bytes(), MEDIA_TYPES[path.suffix]) for path in files}


def playground_router() -> APIRouter:
    """GET / and what it refers to, by addresses that are relative: the server may stand behind a prefix."""
    assets = read_assets()
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> Response:
        return _response(assets[PAGE], request)

    @router.get("/playground/{name}")
    async def asset(request: Request, name: str) -> Response:
        if name not in assets:
            raise Problem(404, "not_found", f"the playground has no file {name!r}")
        return _response(assets[name], request)

    return router


def _asset(content: bytes, media_type: str) -> Asset:
    return Asset(content, media_type, f'"{sha256(content).hexdigest()[:16]}"')


def _response(asset: Asset, request: Request) -> Response:
    headers = {**HEADERS, "ETag": asset.etag}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
