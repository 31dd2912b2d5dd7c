#!/usr/bin/env python3
"""Make the picture of the page, screenshot.png. Needs Chromium and the packages playwright and pillow."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).resolve().parent
ITEM = "speech/english.flac"
PICTURE = {"x": 0, "y": 0, "width": 1280, "height": 900}


def main() -> None:
    """Open the page, choose an item, and save what is visible of it."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(
            viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto((FOLDER / "index.html").as_uri())
        page.click(f"#items button:text('{ITEM}')")
        page.wait_for_selector(f'#item[data-complete="{ITEM}"]', timeout=120_000)
        page.keyboard.press("2")
        page.evaluate("document.getElementById('item').scrollIntoView()")
        page.screenshot(path=FOLDER / "screenshot.png", clip=PICTURE)
        browser.close()
    picture = Image.open(FOLDER / "screenshot.png").convert("RGB").quantize(128)  # a third of the size
    picture.save(FOLDER / "screenshot.png", optimize=True)


if __name__ == "__main__":
    main()
