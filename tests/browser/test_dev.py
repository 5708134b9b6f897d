"""`vitrine dev` beside a browser: a page that is open shows what was saved."""
from test_cli import devs, edit, new_space

import pytest


@pytest.fixture
def dev(tmp_path):
    with devs(tmp_path) as start:
        yield start


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(30000)
    yield page
    context.close()


def test_a_page_reloads_when_a_file_is_saved(tmp_path, dev, page):
    folder = new_space(tmp_path, "static")
    d = dev(folder)
    page.goto(d.url() + "/")
    loads = []
    page.on("load", lambda: loads.append(page.title()))
    assert page.title() == "Space"
    edit(folder / "index.html", "<title>Space", "<title>Other")
    page.wait_for_function("document.title == 'Other'")
    edit(folder / "index.html", "<title>Other", "<title>Third")
    page.wait_for_function("document.title == 'Third'")
    page.wait_for_timeout(600)  # and then it stays
    assert loads.count("Third") == 1 and len(loads) <= 3, loads


def test_a_page_of_a_program_that_broke_comes_back(tmp_path, dev, page):
    folder = new_space(tmp_path, "python")
    good = (folder / "app.py").read_text()
    d = dev(folder)
    page.goto(d.url() + "/")
    before = page.content()
    (folder / "app.py").write_text("raise SystemExit(3)\n")
    d.wait_for("ended with status 3")
    page.goto(d.url() + "/")  # somebody reloads it meanwhile
    assert "does not run" in page.content()
    (folder / "app.py").write_text(good)
    page.wait_for_function("!document.body.innerText.includes('does not run')")
    strip = lambda html: html.split("<script src=\"/.vitrine-dev.js")[0]
    assert strip(page.content()) == strip(before)
