import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.types import Receive, Scope

from service.access import Access
from service.keys import Keys, read_keys
from service.rate import Rate, TokenBucket
from service.settings import Settings
from tests.service.asgi import Client, Reply, answering, outside, read_all
from tests.service.fake_engine import Clock


def ask(key: str | None, path: str = "/models", keys: tuple[str, ...] = ("alpha", "beta")) -> Reply:
    headers = {} if key is None else {"authorization": key}
    return asyncio.run(Client(**headers).ask(outside(Access(answering(read_all), Keys(keys))), path, "GET"))


@pytest.mark.parametrize("given", ["Bearer alpha", "bearer beta", "Bearer  alpha"])
def test_a_known_key_is_let_in(given: str) -> None:
    assert ask(given).status == 200


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer gamma", "Bearer alph", "Basic alpha", "alpha"]
)
@pytest.mark.parametrize("path", ["/models", "/metrics", "/docs", "/healthy", "/nowhere"])
def test_everything_but_the_probes_needs_a_known_key(given: str | None, path: str) -> None:
    reply = ask(given, path)
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in reply.problem["detail"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"])
def test_probes_need_no_key(path: str) -> None:
    assert ask(None, path).status == 200


def test_without_keys_everybody_is_let_in() -> None:
    assert ask(None, keys=()).status == 200


def test_administrators_are_let_in_as_often_as_they_like_and_known() -> None:
    seen: list[bool] = []

    async def endpoint(scope: Scope, receive: Receive) -> None:
        seen.append(scope["administrator"])

    async def scenario(keys: tuple[str, ...], *given: str) -> list[int]:
        app = outside(Access(answering(endpoint), Keys(keys), Rate(1, 3600.0), Keys(("root",))))
        return [(await Client(authorization=f"Bearer {key}").ask(app)).status for key in given]

    assert asyncio.run(scenario(("alpha",), "root", "root", "alpha", "alpha", "beta")) == [200, 200, 200, 429, 401]
    assert seen == [True, True, False]
    seen.clear()
    assert asyncio.run(scenario((), "root", "beta")) == [200, 200]
    assert seen == [True, False]


def test_a_refusal_does_not_say_what_was_sent_nor_what_was_expected() -> None:
    body = ask("Bearer secret-guess").body
    assert b"secret-guess" not in body
    assert b"alpha" not in body


def test_a_key_may_be_any_text() -> None:
    assert ask("Bearer schlüssel", keys=("schlüssel",)).status == 200
    assert ask("Bearer \xff\x00", keys=("schlüssel",)).status == 401


def test_keys_come_from_the_setting_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the first team\nalpha\n\n beta \n")
    assert read_keys("alpha, beta,") == read_keys(f"@{file}") == ("alpha", "beta")
    assert read_keys("") == ()


def test_a_file_without_keys_is_refused_when_the_server_starts(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nobody\n")
    for name, reason in (("empty", "contains no keys"), ("missing", "cannot be read")):
        with pytest.raises(ValidationError, match=reason):
            Settings(api_keys=f"@{tmp_path / name}")


def test_keys_are_not_shown_with_the_settings() -> None:
    assert "alpha" not in repr(Settings(api_keys="alpha"))


def test_a_rate_without_keys_is_refused_when_the_server_starts() -> None:
    with pytest.raises(ValidationError, match="set api_keys too"):
        Settings(rate_limit="5/s")
    with pytest.raises(ValidationError, match="rate_limit"):
        Settings(api_keys="alpha", rate_limit="fast")


@pytest.mark.parametrize(("text", "count", "period_s"), [("100/s", 100, 1), ("10/min", 10, 60), ("7/h", 7, 3600)])
def test_rates_are_counts_in_a_period(text: str, count: int, period_s: int) -> None:
    assert Rate.parse(text) == Rate(count, period_s)


def test_a_bucket_gives_what_it_holds_at_once_and_then_what_trickles_in() -> None:
    clock = Clock()
    bucket = TokenBucket(Rate(4, 2.0), clock)
    assert [bucket.take() for _ in range(4)] == [0.0] * 4
    assert bucket.take() == pytest.approx(0.5)
    clock.now += 0.5
    assert bucket.take() == 0.0
    assert bucket.take() > 0
    clock.now += 100
    assert [bucket.take() > 0 for _ in range(5)] == [False] * 4 + [True]


def test_each_key_has_its_own_rate_and_is_told_when_to_come_back() -> None:
    async def scenario() -> None:
        app = outside(Access(answering(read_all), Keys(("alpha", "beta")), Rate(2, 3600.0)))
        replies = [await Client(authorization="Bearer alpha").ask(app) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].code == "rate_limited"
        assert 1000 < int(replies[2].headers["retry-after"]) <= 1800
        assert (await Client(authorization="Bearer beta").ask(app)).status == 200
        assert (await Client().ask(app, "/health/live", "GET")).status == 200

    asyncio.run(scenario())
