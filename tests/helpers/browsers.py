"""A real browser without a window, where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DEADLINE = 90  # seconds
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def find_browser() -> str | None:
    """Return the path of a browser that can print what it made of a page, None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


def rendered(page: Path) -> str:
    """Return the page as the browser sees it after its scripts have run."""
    browser = find_browser()
    assert browser
    command = [browser, *OPTIONS, f"--user-data-dir={page.parent / 'browser'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, timeout=DEADLINE, check=True).stdout.decode()


def acting(page: Path, script: str) -> Path:
    """Return a copy of a page with another script at its end, which plays the reader; the policy would stop it."""
    text = POLICY.sub("", page.read_text(encoding="utf-8"))
    copy = page.with_name("acting.html")
    copy.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return copy
