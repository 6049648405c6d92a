"""The page as it is sent. What it does in a browser is in test_playground_in_browser.py."""

import re
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from service.playground import FOLDER, read_assets

SIZE_BUDGET = 60_000  # bytes of all files, not compressed
LONGEST_LINE = 120
LONGEST_FILE = 300
ASSETS = sorted(read_assets())


class References(HTMLParser):
    """What a page refers to, and what it would run or style in place."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.language: str | None = None
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and not given.get("src")) else []
        self.language = given.get("lang") if tag == "html" else self.language


@pytest.fixture(scope="module")
def page(client: TestClient) -> References:
    return References(client.get("/").text)


def test_the_page_is_at_the_root_under_a_policy_of_its_own_origin(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(item.split(maxsplit=1) for item in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    fetched = " ".join(sources for name, sources in policy.items() if name.endswith("-src"))
    assert set(fetched.split()) == {"'none'", "'self'", "blob:"}
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


@pytest.mark.parametrize("name", ASSETS)
def test_every_file_is_served_as_what_it_is_under_the_policy(client: TestClient, name: str) -> None:
    response = client.get(f"/playground/{name}")
    assert response.content == (FOLDER / name).read_bytes()
    kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert response.headers["Content-Type"].startswith(kinds[name.rpartition(".")[2]])
    assert response.headers["Content-Security-Policy"] == client.get("/").headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_what_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/playground/app.js")
    again = client.get("/playground/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/playground/app.js", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2Fetc%2Fpasswd", "app.py"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    response = client.get(f"/playground/{name}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_the_page_refers_to_this_server_only_and_runs_nothing_in_place(client: TestClient, page: References) -> None:
    assert page.language == "en"
    assert page.inline == []
    for address in page.addresses:
        assert not re.match(r"[a-z]+:|/", address), f"{address} is not relative"
        assert address.startswith("#") or client.get(f"/{address}").status_code == 200, address


@pytest.mark.parametrize("name", ASSETS)
def test_no_file_names_another_host(name: str) -> None:
    source = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"(?:https?:)?//[\w-]+\.\w+|@import|\burl\(", source)


@pytest.mark.parametrize("name", ASSETS)
def test_files_fit_in_the_head(name: str) -> None:
    lines = (FOLDER / name).read_text().splitlines()
    assert len(lines) <= LONGEST_FILE
    assert max(map(len, lines)) <= LONGEST_LINE or name.endswith(".svg")


def test_modules_are_all_there_and_all_used() -> None:
    used = {"app.js"}
    for name in ASSETS:
        used |= set(re.findall(r'from "\./([\w.]+)"', (FOLDER / name).read_text()))
    assert used == {name for name in ASSETS if name.endswith(".js")}


def test_the_page_keeps_to_its_size() -> None:
    assert sum(len(asset.content) for asset in read_assets().values()) < SIZE_BUDGET


def test_the_page_is_no_part_of_the_api_document(client: TestClient) -> None:
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path == "/" or "playground" in path]
