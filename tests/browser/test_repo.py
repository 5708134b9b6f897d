"""Files and history of a Space, at both widths and in both schemes."""
import os
import sys

import pytest
from playwright.sync_api import expect

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from gitclient import clone  # noqa: E402

EVIL = "<script>document.title = 'owned'</script><h1>Raw</h1>\n"


@pytest.fixture(scope="module")
def space(up):
    card = {"README.md": "---\ntitle: Kept\nsdk: static\n---\n# Kept\n"}
    up.deploy(up.bundle("kept", **card, **{"index.html": EVIL, "src/a file & more.py": "print('hi')\n" * 20, "model.bin": os.urandom(3000)}), "alice/kept")
    g = clone(up, "alice/kept", "kept-clone")
    g.write("index.html", EVIL + "<p>more</p>\n")
    g.write("src/a file & more.py", "print('hi')\nprint('there <b>')\n")
    g.commit("Say more & <b>mean it</b>\n\nA body\nof two lines.")
    g("push", "-q", "origin", "HEAD")
    return "/spaces/alice/kept"


@pytest.mark.parametrize("size,scheme", [((1280, 800), "light"), ((390, 844), "dark"), ((390, 844), "light"), ((1280, 800), "dark")])
def test_files_history_and_commit(browse, shot, space, size, scheme):
    name = f"{size[0]}-{scheme}"
    page = browse(space, size=size, scheme=scheme)
    page.get_by_role("link", name="Files").click()
    expect(page.get_by_role("heading", name="Kept")).to_be_visible()
    shot(page, f"files-{name}")
    page.get_by_role("link", name="src", exact=True).click()
    page.get_by_role("link", name="a file & more.py", exact=True).click()
    expect(page.get_by_label("The file")).to_contain_text("print('there <b>')")
    shot(page, f"file-{name}")
    page.goto(page.url.split("/files")[0] + "/files/index.html")
    expect(page.get_by_label("The file")).to_contain_text("<script>")
    assert "owned" not in page.title()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("link", name="Say more & <b>mean it</b>")).to_be_visible()
    assert page.get_by_role("button", name="Go back to this").count() == 0
    shot(page, f"history-{name}")
    page.get_by_role("link", name="Say more & <b>mean it</b>").click()
    expect(page.get_by_label("What it changed")).to_contain_text("+<p>more</p>")
    expect(page.locator("ins").first).to_be_visible()
    assert "owned" not in page.title()
    shot(page, f"commit-{name}")


def test_a_download_is_never_shown(browse, up, space):
    page = browse(space + "/files/index.html")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert open(download.value.path()).read().startswith(EVIL) and download.value.suggested_filename == "index.html"
    raw = up.get(space + "/raw/index.html")
    assert raw.headers["content-disposition"].startswith("attachment") and raw.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in raw.headers["content-security-policy"] and raw.headers["content-type"] == "application/octet-stream"


def test_going_back(browse, up, space):
    page = browse(space + "/history", admin=True)
    page.get_by_role("button", name="Go back to this").first.click()
    page.wait_for_url("**" + space)
    page.goto(up.url + space + "/history")
    expect(page.locator(".commits li").first).to_contain_text("Back to")
    assert "<p>more</p>" not in up.demo("alice/kept").body.decode()
