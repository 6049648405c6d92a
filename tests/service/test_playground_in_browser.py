"""The page in headless Chromium, before a server with the tiny models; nothing here looks at how it is written."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import uvicorn

from service.app import create_app
from service.settings import Settings
from service.tasks import TASKS
from tests.service.browsing import (
    ARGUMENTS,
    CHROMIUM,
    COLOURS,
    PATIENCE_MS,
    Page,
    bars,
    chooser_opened_by,
    contrasts,
    count,
    drop,
    fading_film,
    grey,
    listed,
    playwright,
    press_until,
    see,
    upload,
)
from tests.tiny import TINY

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

SCORED = [task for task in TINY if task.startswith("classify")]
CONTROLS = {"button", "textbox", "combobox", "radio", "checkbox", "spinbutton", "link", "image", "DisclosureTriangle"}
FAILED_LOAD = "Failed to load resource"  # is what Chromium says of every refusal


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Address of a running server."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        while httpx2.get(f"{address}health/ready", timeout=60).status_code != 200:
            time.sleep(0.05)
        yield address
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def site(tiny_checkpoints: tuple[Path, ...]) -> Iterator[str]:
    settings = Settings(checkpoints=tiny_checkpoints, device="cpu", decode_workers=1, max_body_bytes=300_000)
    with serving(settings) as address:
        yield address


@pytest.fixture(scope="module")
def guarded(tiny_checkpoint: Path) -> Iterator[str]:
    """A server that wants a key."""
    with serving(
        Settings(checkpoints=(tiny_checkpoint,), device="cpu", decode_workers=1, api_keys="s3cret")
    ) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One context for all tests, which keeps the files of the page; what a tab stores stays its own."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_context(viewport={"width": 360, "height": 780})
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Any, site: str, guarded: str) -> Iterator[Callable[[], Page]]:
    """Opens empty tabs; in the end nothing may have failed in any, and no request may have left the server."""
    faults: list[str] = []
    own = (site, guarded, "blob:")

    def watch() -> Page:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda sent: None if sent.url.startswith(own) else faults.append(sent.url))
        return page

    yield watch
    assert [fault for fault in faults if not fault.startswith(FAILED_LOAD)] == []


@pytest.fixture
def page(opened: Callable[[], Page]) -> Iterator[Page]:
    page = opened()
    yield page
    page.unroute_all(behavior="ignoreErrors")
    page.close()


@pytest.fixture
def ready(page: Page, site: str) -> Page:
    """The page, with the tasks listed."""
    return listed(page, site)


@pytest.fixture(scope="module", params=TINY)
def answered(request: pytest.FixtureRequest, opened: Callable[[], Page], site: str) -> Iterator[tuple[Page, str]]:
    """The page with the answer to a file, and the path of its task; for tests that change nothing."""
    page = listed(opened(), site)
    upload(page, request.param, seed=1)
    yield page, request.param
    page.close()


def test_a_file_is_answered_by_the_task_that_reads_it_as_the_api_says(answered: tuple[Page, str], site: str) -> None:
    page, task = answered
    assert page.is_checked(f"input[value='{task}']")
    if task not in SCORED:
        assert page.wait_for_selector("#answer img").evaluate("image => image.decode().then(() => image.naturalWidth)")
        return
    answer = page.request.post(f"{site}{task}", data=TINY[task].payload(1)).json()
    expected = [[item["label"], f"{100 * item['score']:.1f} %"] for item in answer["predictions"]]
    assert bars(page) == expected
    assert page.inner_text("#status") == ", ".join(expected[0])
    tracks = [bar.evaluate("bar => bar.offsetWidth") for bar in page.query_selector_all(".track")]
    filled = [bar.evaluate("bar => bar.offsetWidth") for bar in page.query_selector_all(".fill")]
    assert np.divide(filled, tracks) == pytest.approx([item["score"] for item in answer["predictions"]], abs=0.01)


def test_time_and_batch_and_model_are_told(answered: tuple[Page, str]) -> None:
    page, _ = answered
    told = page.inner_text("#particulars")
    assert all(word in told for word in ("decode", "forward", "total", "batch size", "round trip"))
    assert "random weights, for tests" in page.inner_text("#card")
    assert "test accuracy" in page.inner_text("#card")


def test_the_page_never_scrolls_sideways(answered: tuple[Page, str]) -> None:
    page, _ = answered
    page.wait_for_load_state("networkidle")
    for width in (1440, 768, 360):
        page.set_viewport_size({"width": width, "height": 780})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_has_a_name_that_is_read_aloud(answered: tuple[Page, str]) -> None:
    page, _ = answered
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    controls = [pair for pair in named if pair[0] in CONTROLS]
    assert len(controls) > 10
    assert [role for role, name in controls if not name.strip()] == []
    assert {"main", "status"} <= {role for role, _ in named}
    assert page.evaluate("document.documentElement.lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(heading => Number(heading.tagName[1]))")
    assert levels.count(1) == 1
    assert max(np.diff(levels)) <= 1


@pytest.mark.parametrize(("task", "drawings"), [("classify/audio", 2), ("classify/pointcloud", 3)])
def test_sounds_and_points_are_drawn(ready: Page, task: str, drawings: int) -> None:
    upload(ready, task)
    count(ready, "#preview canvas", drawings)
    ready.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert all(canvas.evaluate(COLOURS) > 1 for canvas in ready.query_selector_all("#preview canvas"))


def test_the_frames_that_were_used_are_shown_as_they_are(ready: Page) -> None:
    """The film grows lighter from frame to frame, so that each frame shown says its number."""
    film = fading_film(frames=16)
    with ready.expect_response("**/classify/video") as answer:
        drop(ready, "a.webm", film, "video/webm")
    used = answer.value.json()["input"]["frames_used"]
    assert len(set(used)) > 2
    count(ready, ".frames canvas", len(used))
    middle = "canvas => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0]"
    levels = [canvas.evaluate(middle) for canvas in ready.query_selector_all(".frames canvas")]
    assert levels == pytest.approx([grey(number) for number in used], abs=5)


def test_options_come_from_the_api_document_and_go_with_the_request_and_the_command(ready: Page) -> None:
    upload(ready, "classify/image")
    ready.click("#more-options summary")
    ready.fill("#option-top_k", "2")
    ready.click("#run")
    count(ready, "#answer .bars li", 2)
    assert "/classify/image?top_k=2'" in ready.inner_text("#curl")
    with ready.expect_request("**/classify/image?top_k=2&function_to_apply=none"):
        ready.select_option("#option-function_to_apply", "none")
        ready.click("#run")


def test_a_file_that_cannot_be_read_shows_the_detail_and_the_code(ready: Page, site: str) -> None:
    broken = TINY["classify/image"].payload(0)[:60]
    upload(ready, "classify/image")
    drop(ready, "broken.png", broken, "image/png")
    ready.wait_for_selector("[role=alert] .problem")
    problem = ready.request.post(f"{site}classify/image", data=broken).json()
    shown = ready.inner_text("[role=alert]")
    assert problem["detail"] in shown
    assert f"{problem['status']} {problem['code']}" in shown
    assert bars(ready) == []
    upload(ready, "classify/image")
    assert ready.text_content("[role=alert]") == ""


def test_a_request_can_be_cancelled(ready: Page) -> None:
    ready.route("**/classify/image", lambda route: None)
    drop(ready, "a.png", TINY["classify/image"].payload(0), "image/png")
    ready.click("#cancel:enabled")
    see(ready, "#status", "Cancelled.")
    assert ready.is_disabled("#cancel")
    ready.unroute("**/classify/image")
    ready.click("#run")
    ready.wait_for_selector("#answer .bars")


def test_the_keyboard_alone_is_enough(ready: Page) -> None:
    posts: list[str] = []
    ready.on("request", lambda sent: posts.append(sent.url) if sent.method == "POST" else None)
    press_until(ready, "input[name=task]")
    press_until(ready, "input[value='classify/audio']", "ArrowRight")
    press_until(ready, "#file")
    payload = TINY["classify/audio"].payload(0)
    chooser_opened_by(ready, "Enter").set_files([{"name": "a.wav", "mimeType": "audio/wav", "buffer": payload}])
    ready.wait_for_selector("#answer .bars")
    press_until(ready, "#run")
    assert ready.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    with ready.expect_response("**/classify/audio"):
        ready.keyboard.press("Enter")
    assert len(posts) == 2
    press_until(ready, "#copy")


def test_the_key_is_sent_kept_for_the_tab_and_left_out_of_the_command(ready: Page) -> None:
    ready.click("summary:has-text('API key')")
    ready.fill("#key", "s3cret")
    with ready.expect_request("**/classify/image") as sent:
        upload(ready, "classify/image")
    assert sent.value.headers["authorization"] == "Bearer s3cret"
    assert "Authorization: Bearer $KEY" in ready.inner_text("#curl")
    assert "s3cret" not in ready.inner_text("#curl")
    ready.reload()
    assert ready.input_value("#key") == "s3cret"
    assert ready.evaluate("localStorage.length") == 0


def test_a_server_with_keys_asks_for_one_where_it_is_typed(page: Page, guarded: str) -> None:
    page.goto(guarded)
    see(page, "#status", "Enter an API key.")
    assert "Loading" not in page.inner_text("body")
    assert page.evaluate("document.activeElement.id") == "key"
    page.keyboard.type("guess")
    page.keyboard.press("Enter")
    see(page, "[role=alert]", "API key is not valid")
    page.fill("#key", "s3cret")
    page.keyboard.press("Enter")
    see(page, "#status", "Choose a file.")
    assert page.text_content("[role=alert]") == ""
    upload(page, "classify/image")


def test_tasks_are_in_the_order_of_the_registry_whatever_the_models_are_called(page: Page, site: str) -> None:
    models = page.request.get(f"{site}models").json()
    page.route("**/models", lambda route: route.fulfill(json=models[::-1]))
    listed(page, site)
    assert [choice.get_attribute("value") for choice in page.query_selector_all("input[name=task]")] == list(TASKS)
    assert page.is_checked("input[value='classify/image']")


def test_the_page_is_painted_before_the_models_are_listed(page: Page, site: str) -> None:
    page.route("**/models", lambda route: None)
    page.goto(site)
    assert page.is_visible("h1")
    assert page.is_visible(".drop label")


def test_models_that_are_loading_are_waited_for(page: Page, site: str) -> None:
    problem = {"title": "Not ready", "status": 503, "detail": "the models are loading", "code": "not_ready"}
    page.route("**/models", lambda route: route.fulfill(status=503, json=problem), times=1)
    page.goto(site)
    see(page, "#status", "the models are loading")
    see(page, "#status", "Choose a file.")


def test_a_task_that_the_page_has_never_heard_of_is_served(page: Page, site: str) -> None:
    model = {"name": "c", "task": "foresee/tides", "modality": "tides", "card": {}, "media_types": ["text/csv"]}
    page.route("**/models", lambda route: route.fulfill(json=[model]))
    page.route("**/models/c", lambda route: route.fulfill(json=model))
    page.route("**/openapi.json", lambda route: route.fulfill(json={"paths": {"/foresee/tides": {"post": {}}}}))
    page.route("**/foresee/tides", lambda route: route.fulfill(json={"high": [1, 2], "input": {"harbours": 7}}))
    listed(page, site)
    drop(page, "tides.csv", b"1", "text/csv")
    see(page, "#particulars", "harbours")
    assert '"high"' in (page.text_content("#particulars pre") or "")


def test_the_microphone_is_heard(ready: Page) -> None:
    ready.click("label:has-text('Audio')")
    ready.click("#record")
    see(ready, "#record", "Stop (1 s)")
    with ready.expect_request("**/classify/audio") as sent:
        ready.click("#record")
    ready.wait_for_selector("#answer .bars")
    assert sent.value.headers["content-type"] == "audio/webm"
    count(ready, "#preview canvas", 2)


def test_text_stands_out_from_what_is_behind_it(ready: Page) -> None:
    ready.emulate_media(reduced_motion="reduce")
    upload(ready, "classify/image")
    ready.route("**/classify/image", lambda route: route.fulfill(status=429, json={"detail": "full", "code": "busy"}))
    ready.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert len(contrasts(ready)) > 60
    assert [(text, ratio) for text, ratio in contrasts(ready) if ratio < 4.5] == []
    ready.click("#run")
    see(ready, ".problem", "busy")
    assert [(text, ratio) for text, ratio in contrasts(ready) if ratio < 4.5] == []


def test_motion_stops_where_it_is_not_wanted(ready: Page) -> None:
    upload(ready, "classify/image")
    moving = "getComputedStyle(document.querySelector('.fill')).animationName"
    assert ready.evaluate(moving) == "grow"
    ready.emulate_media(reduced_motion="reduce")
    assert ready.evaluate(moving) == "none"
