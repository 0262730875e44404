"""The pictures of `manage.py preview`."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen

from playwright.sync_api import Browser

from newsletter.management.chromium import MAX_PICTURE_PIXELS, SHOTS, Shot, take_picture
from tests.browser.drawing import png

ROOT = Path(__file__).resolve().parents[2]
PAGE = """<!DOCTYPE html><meta name="color-scheme" content="light dark">
<style>
body { margin: 0; background: #ffffff; height: 1000px }
@media (prefers-color-scheme: dark) { body { background: #101010 } }
</style>
<script>document.body.style.height = "5000px"</script>"""


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in device pixels, from the PNG's first chunk."""
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_a_picture_is_as_wide_as_its_shot_and_as_high_as_the_mail(browser: Browser) -> None:
    sizes = {shot.name: size_of(take_picture(browser, PAGE, shot).png) for shot in SHOTS}
    assert sizes == {
        "375-light": (750, 2000),
        "375-dark": (750, 2000),
        "700-light": (700, 1000),
        "700-dark": (700, 1000),
    }


def test_light_and_dark_differ(browser: Browser) -> None:
    light, dark = (take_picture(browser, PAGE, Shot(375, scheme, 1)).png for scheme in ("light", "dark"))
    assert light != dark
    assert light == take_picture(browser, PAGE, Shot(375, "light", 1)).png


def test_a_long_mail_has_fewer_pixels_and_a_very_long_one_is_cut(browser: Browser) -> None:
    long, endless = (PAGE.replace("1000px", f"{height}px") for height in (10_000, 60_000))
    picture = take_picture(browser, long, Shot(375, "light", 2))
    assert (size_of(picture.png), picture.is_cut) == ((375, 10_000), False)
    picture = take_picture(browser, endless, Shot(375, "light", 2))
    assert (size_of(picture.png), picture.is_cut) == ((375, MAX_PICTURE_PIXELS), True)


def test_no_address_in_a_mail_is_asked_for(browser: Browser) -> None:
    asked: list[str] = []

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        page = f"""<link rel="stylesheet" href="{here}/a.css"><style>@import "{here}/b.css"; p {{ background: url({here}/c.png) }}</style>
            <p>text <img src="{here}/d.png"><iframe src="{here}/e"></iframe>"""
        take_picture(browser, page, Shot(375, "light", 1))
        assert asked == []
        with suppress(HTTPError):
            urlopen(f"{here}/g", timeout=30)
        assert asked == ["/g"], "the server was there to be asked"
        server.shutdown()


def test_an_image_that_is_in_the_page_is_painted(browser: Browser) -> None:
    grey = b64encode(png(375, 300)).decode()
    pictures = [
        take_picture(browser, f'<body style="margin:0"><img alt="" src="{source}">', Shot(375, "light", 1)).png
        for source in (f"data:image/png;base64,{grey}", "https://example.org/grey.png")
    ]
    assert pictures[0] != pictures[1]


def test_the_command_makes_four_pictures_of_a_post(tmp_path: Path, browser: Browser) -> None:
    """In a process of its own, as a writer starts it, in a clone where nothing has been set up but the packages."""
    post = next((ROOT / "examples" / "posts").glob("2026-11-20*.md"))
    env = os.environ | {"SOSIK_ENV_FILE": "", "DEBUG": "1", "DATA_DIR": str(tmp_path / "var"), "REDIS_URL": ""}
    env.pop("DATABASE_URL", None)
    command = [sys.executable, "manage.py", "preview", str(post), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    pictures = {
        path.name.removeprefix("골목-서점의-밤-"): size_of(path.read_bytes())[0] for path in tmp_path.glob("*.png")
    }
    assert pictures == {"375-light.png": 750, "375-dark.png": 750, "700-light.png": 700, "700-dark.png": 700}
    assert not list((tmp_path / "var").glob("*.sqlite3"))
