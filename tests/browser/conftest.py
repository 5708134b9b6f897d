"""A whole system and a real browser (Debian's chromium). Screenshots of every page go to BUILD/screenshots."""
import os
import shutil
import sys

import pytest
from playwright.sync_api import sync_playwright

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from vitrine import BUILD, Vitrine  # noqa: E402

SHOTS = os.path.join(BUILD, "screenshots")
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
# Said of a frame that has no address, of what a test asks for that is not there, and of a demo that does not run yet.
HARMLESS = ("An iframe which has both allow-scripts", "Failed to load resource: the server responded with a status of 4",
            "Failed to load resource: the server responded with a status of 503")


@pytest.fixture(scope="session")
def chromium():
    program = shutil.which("chromium")
    if not program:
        pytest.fail("no chromium on this machine: `make deps` installs it")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def up():
    v = Vitrine("[lifecycle]\nsleep_after = 10m\n")
    v.start()
    v.url = f"http://{v.site}"
    yield v
    assert v.stop() == 0, v.log[-3000:]
    shutil.rmtree(v.folder, ignore_errors=True)


@pytest.fixture
def browse(chromium, up):
    """browse(path, admin=True, ...) opens a page of the site; nothing may be said on its console."""
    contexts, said = [], []

    def open_page(path="/", admin=False, scripts=True, size=(1280, 800), scheme="light"):
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, java_script_enabled=scripts, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20000)
        page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") and not m.text.startswith(HARMLESS) else None)
        page.on("pageerror", lambda e: said.append(str(e)))
        if admin:
            page.goto(up.api("POST", "/api/admin/login-link").json["url"])
            assert page.url == up.url + "/admin"
        if not admin or path != "/admin":
            page.goto(up.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not said, said


@pytest.fixture
def shot():
    """Saves what a page shows, and asserts that nothing sticks out of a narrow window."""
    os.makedirs(SHOTS, exist_ok=True)

    def save(page, name):
        page.screenshot(path=os.path.join(SHOTS, name + ".png"))
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
    return save
