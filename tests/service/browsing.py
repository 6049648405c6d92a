"""A visitor of the playground: Chromium where it is installed, and what hands and eyes do there."""

import io
import os
import shutil
from typing import Any

import av
import numpy as np
import pytest

from tests.tiny import TINY

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# a microphone that beeps; root, as containers have it, needs to give up the sandbox
ARGUMENTS = ["--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
ARGUMENTS += ["--no-sandbox"] if os.geteuid() == 0 else []
PATIENCE_MS = 60_000  # for the busiest of machines
Page = Any
FILES = {
    "classify/image": ("a.png", "image/png"),
    "classify/audio": ("a.wav", "audio/wav"),
    "classify/video": ("a.mp4", "video/mp4"),
    "classify/pointcloud": ("a.ply", ""),
    "forecast/weather": ("a.json", "application/json"),
}
COLOURS = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
# Ratio of contrast (WCAG 2) of every text that is seen with the nearest opaque colour behind it.
CONTRAST = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = rgb => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const value = rgb[i] / 255;
    return sum + weight * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const [r, g, b, alpha = 1] = channels(getComputedStyle(node).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !parent.checkVisibility() || parent.closest('noscript, :disabled, option')) continue;
    const pair = [channels(getComputedStyle(parent).color), behind(parent)].map(luminance);
    found.push([text, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)]);
  }
  return found;
}"""


def chooser_opened_by(page: Page, key: str) -> Any:
    """On a busy machine the browser may take a key for too old to open a window with: it is pressed again."""
    for timeout_ms in (3_000, 10_000, PATIENCE_MS):
        try:
            with page.expect_file_chooser(timeout=timeout_ms) as chooser:
                page.keyboard.press(key)
            return chooser.value
        except playwright.TimeoutError:
            continue
    raise AssertionError(f"the key {key} opens no window to choose a file")


def listed(page: Page, site: str) -> Page:
    page.goto(site)
    see(page, "#status", "Choose a file.")
    return page


def see(page: Page, selector: str, text: str) -> None:
    playwright.expect(page.locator(selector)).to_contain_text(text, timeout=PATIENCE_MS)


def count(page: Page, selector: str, number: int) -> None:
    playwright.expect(page.locator(selector)).to_have_count(number, timeout=PATIENCE_MS)


def drop(page: Page, name: str, content: bytes, media_type: str = "") -> None:
    page.set_input_files("#file", files=[{"name": name, "mimeType": media_type, "buffer": content}])


def upload(page: Page, task: str, seed: int = 0) -> None:
    name, media_type = FILES[task]
    drop(page, name, TINY[task].payload(seed), media_type)
    page.wait_for_selector("#answer :is(.bars, .plot)")


def bars(page: Page) -> list[list[str]]:
    return [item.inner_text().split("\n")[:2] for item in page.query_selector_all("#answer .bars li")]


def grey(number: int) -> int:
    return 20 + 14 * number


def fading_film(frames: int) -> bytes:
    """A WebM that every Chromium plays, 8 frames a second, of one grey each."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=8, options={"crf": "4", "b": "4M"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            raster = np.full((48, 64, 3), grey(number), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(raster, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def contrasts(page: Page) -> list[tuple[str, float]]:
    """Every text that is seen, in light and in dark, with its ratio."""
    found: list[tuple[str, float]] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += page.evaluate(CONTRAST)
    return found


def press_until(page: Page, reached: str, key: str = "Tab") -> None:
    """Press a key until the element that has the focus matches a selector."""
    for _ in range(40):
        if page.evaluate("selector => document.activeElement.matches(selector)", reached):
            return
        page.keyboard.press(key)
    pytest.fail(f"{reached} cannot be reached by {key}")
