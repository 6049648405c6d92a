"""Authentication by bearer token on every route but the probes and the playground's files, and the rate limit per key.

Whether an administrator is asking is noted as `administrator`, for the routes that only they may use.
"""

import math

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import Problem
from service.headers import header
from service.http_layer import HttpLayer
from service.keys import Keys
from service.rate import Rate, TokenBucket

OPEN = ("/health/", "/v2/health/", "/playground/")  # orchestrators have no key; the playground asks for one
PAGE = "/"
SCHEME = "bearer"


class Access(HttpLayer):
    """keys: the keys accepted; without any, everybody is. rate: the limit of each key; None for no limit.

    administrators: further keys, without a rate limit.
    """

    def __init__(self, app: ASGIApp, keys: Keys, rate: Rate | None = None, administrators: Keys | None = None) -> None:
        super().__init__(app)
        self.keys, self.rate = keys, rate
        self.administrators = administrators or Keys(())
        self._buckets = [TokenBucket(rate) for _ in range(len(keys))] if rate else []

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization = header(scope, b"authorization") or ""
        key = _token(authorization)
        scope["administrator"] = self.administrators.place(key) is not None
        if len(self.keys) and not scope["administrator"] and not is_open(scope["path"]):
            self._check(authorization, key)
        await self.app(scope, receive, send)

    def _check(self, authorization: str, key: bytes) -> None:
        """Raises Problem 401 without a known key, 429 with one that comes too often."""
        place = self.keys.place(key)
        if place is None:
            raise _unauthorized(authorization)
        if self.rate is not None:
            self._spend(place, self.rate)

    def _spend(self, place: int, rate: Rate) -> None:
        wait_s = self._buckets[place].take()
        if wait_s:
            after = str(max(1, math.ceil(wait_s)))
            detail = f"rate limit is {rate.count} requests per {rate.period_s:g} s: retry in {after} s"
            raise Problem(429, "rate_limited", detail, {"limit": rate.count}, {"Retry-After": after})


def _token(authorization: str) -> bytes:
    """As it was sent; empty, which no key is, where none was."""
    scheme, _, key = authorization.partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == SCHEME else b""


def is_open(path: str) -> bool:
    return path == PAGE or path.startswith(OPEN)


def _unauthorized(authorization: str) -> Problem:
    fault = "the API key is not valid" if authorization else "an API key is required"
    detail = f"{fault}: send a key issued by the operator in the header Authorization: Bearer <key>"
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
