"""The site as people use it, from the first visit to the last deletion. The tests of this file go on from one another:
the same system, submitted to, looked at, steered."""
import os
import re
import shutil

import pytest
from playwright.sync_api import expect

APP = '''
import os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class H(BaseHTTPRequestHandler):
    def do_GET(self):
        print("asked for", self.path, flush=True)
        body = b"<!doctype html><title>demo</title><h1>Hello from the demo</h1>"
        self.send_response(200); self.send_header("Content-Type", "text/html"); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
time.sleep(float(os.environ.get("X", START)))
print("the demo is up", flush=True)
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), H).serve_forever()
'''
README = "# What it is\n\nA **bold** claim.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"


def card(title, emoji, start, to):
    return f"title: {title}\nemoji: {emoji}\ncolorFrom: {start}\ncolorTo: {to}\nsdk: python\napp_file: app.py\nshort_description: A short line about it\n"


def bundle(up, name, title, seconds=0, app=None):
    files = {"README.md": f"---\n{card(title, '🔮', 'indigo', 'pink')}---\n{README}", "app.py": app or APP.replace("START", str(seconds)),
             "lib/data.txt": "x", ".git/config": "not for anybody"}
    return up.bundle(name, **files)


def test_first_visit(browse, shot):
    page = browse("/")
    expect(page.get_by_role("heading", name="The glass cases are empty")).to_be_visible()
    expect(page.get_by_text("vitrine deploy ./my-demo alice/my-demo")).to_be_visible()
    shot(page, "first-visit")
    page.get_by_role("link", name="Submit a demo").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_login_with_the_token_leads_back(browse, up):
    page = browse("/submit")
    page.get_by_label("Admin token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the admin token.")
    page.get_by_label("Admin token").fill(up.token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/submit")
    cookie = page.context.cookies()[0]
    assert cookie["name"] == "__Host-vitrine" and cookie["httpOnly"] and cookie["secure"]
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_submit_a_folder(browse, up, shot):
    page = browse("/submit", admin=True)
    page.get_by_label("Choose a folder").set_input_files(bundle(up, "first-demo", "First demo"))
    expect(page.locator("#chosen")).to_contain_text("first-demo: 3 files")
    expect(page.get_by_label("Name")).to_have_value("first-demo")
    page.get_by_label("Owner").fill("alice")
    shot(page, "submit-chosen")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/spaces/alice/first-demo")
    expect(page.locator("#badge")).to_have_text("Running")
    expect(page.frame_locator("#demo").get_by_role("heading", name="Hello from the demo")).to_be_visible()


def test_submit_something_that_is_no_archive(browse, up):
    path = os.path.join(up.folder, "bad.zip")
    with open(path, "wb") as f:
        f.write(os.urandom(2000))
    page = browse("/submit", admin=True)
    page.get_by_label("Choose an archive").set_input_files(path)
    page.get_by_label("Owner").fill("alice")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_contain_text("archive")
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()
    assert page.request.get(up.url + "/api/spaces/alice/bad").status == 404


def test_submit_an_archive_without_scripts(browse, up):
    archive = shutil.make_archive(os.path.join(up.folder, "second"), "zip", bundle(up, "second", "Second demo"))
    page = browse("/submit", admin=True, scripts=False)
    page.get_by_label("Owner").fill("bob")
    page.get_by_label("Name").fill("second")
    page.get_by_label("Choose an archive").set_input_files(archive)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/spaces/bob/second")
    expect(page.get_by_role("heading", name="Second demo")).to_be_visible()


def test_search(browse):
    page = browse("/")
    expect(page.locator(".card")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("second")
    expect(page.locator(".card:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=second")
    expect(page.locator(".card")).to_have_count(1)


def test_stage_is_live(browse, up):
    page = browse("/spaces/alice/first-demo")
    expect(page.locator("#badge")).to_have_text("Running")
    assert up.cli("pause", "alice/first-demo").returncode == 0
    expect(page.locator("#badge")).to_have_text("Paused")
    expect(page.locator("#halt")).to_be_visible()
    expect(page.locator("#demo")).to_be_hidden()
    assert up.api("POST", "/api/spaces/alice/first-demo/resume").status == 200
    assert up.api("POST", "/api/spaces/alice/first-demo/start").status in (200, 409)
    expect(page.locator("#badge")).to_have_text("Running")
    expect(page.frame_locator("#demo").get_by_role("heading", name="Hello from the demo")).to_be_visible()


def test_tabs_by_keyboard_and_live_logs(browse, up, shot):
    page = browse("/spaces/alice/first-demo", admin=True)
    page.get_by_role("tab", name="App").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Logs")).to_be_focused()
    log = page.get_by_role("log")
    expect(log).to_contain_text("the demo is up")
    up.demo("alice/first-demo", "/seen-in-the-log")
    expect(log).to_contain_text("asked for /seen-in-the-log")
    shot(page, "logs")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="README").get_by_role("heading", name="What it is")).to_be_visible()
    assert page.url.endswith("#view-readme")


def test_operator_steers_on_the_page(browse, up):
    page = browse("/spaces/bob/second", admin=True)
    expect(page.locator("#badge")).to_have_text("Running")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#badge")).to_have_text("Stopped")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#badge")).to_have_text("Running")
    expect(page.get_by_role("status").filter(has_text="bob/second starts.")).to_be_visible()


def test_failed_space_says_why(browse, up, shot):
    broken = bundle(up, "broken", "Broken demo", app="import sys\nprint('a reason in the log', flush=True)\nsys.exit(3)\n")
    assert up.cli("deploy", broken, "alice/broken").returncode == 1
    page = browse("/spaces/alice/broken")
    expect(page.locator("#badge")).to_have_text("Runtime error")
    expect(page.locator("#halt")).to_contain_text("3")
    shot(page, "failed")
    page = browse("/spaces/alice/broken", admin=True)
    expect(page.locator("#halt-log")).to_contain_text("a reason in the log")
    shot(page, "failed-operator")


def test_admin_is_live(browse, up):
    page = browse("/admin", admin=True)
    expect(page.locator("#live")).to_have_text("Live")
    # what the page came with is what the live list has, once
    first = page.locator("#events tbody tr").last
    expect(first.locator("time")).not_to_have_text(re.compile("T"))
    ids = page.locator("#events tbody tr").evaluate_all("rows => rows.map(r => r.dataset.id)")
    assert ids and len(ids) == len(set(ids)) and all(ids)
    row = page.locator("#workers tr[data-space='alice/first-demo']")
    expect(row.locator("[data-f=state]")).to_have_text("ready")
    expect(row.locator("[data-f=memory]")).to_contain_text("MiB")
    requests = int(row.locator("[data-f=requests]").inner_text())
    for _ in range(5):
        up.demo("alice/first-demo")
    expect(row.locator("[data-f=requests]")).to_have_text(str(requests + 5))
    uptime = row.locator("[data-f=uptime]").inner_text()
    expect(row.locator("[data-f=uptime]")).not_to_have_text(uptime)
    old = row.get_attribute("data-id")
    row.get_by_role("button", name="Restart").click()
    expect(page.locator(f"#workers tr[data-space='alice/first-demo']:not([data-id='{old}']) [data-f=state]")).to_have_text("ready")
    expect(page.locator(f"#workers tr[data-id='{old}']")).to_have_count(0)


def test_waiting_page_becomes_the_demo(browse, up, shot):
    slow = bundle(up, "slow", "Slow demo", seconds=4)
    up.deploy(slow, "alice/slow", "--no-wait")
    page = browse()
    page.goto(f"http://{up.host('alice/slow')}/")
    expect(page.get_by_text("Slow demo").first).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shot(page, f"waiting-{scheme}")
    expect(page.get_by_role("heading", name="Hello from the demo")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_every_page_fits(browse, shot, size, scheme):
    for name, path, ready in (("gallery", "/", ".card"), ("space", "/spaces/alice/first-demo", "#demo"), ("submit", "/submit", "#drop"), ("admin", "/admin", "#live.good"),
                              ("logs", "/spaces/alice/first-demo#view-logs", "#log .line"), ("readme", "/spaces/alice/first-demo#view-readme", "#readme h1"), ("error", "/spaces/no/where", ".status-number")):
        page = browse(path, admin=True, size=size, scheme=scheme)
        page.locator(ready).first.wait_for()
        if name == "space":
            page.frame_locator("#demo").get_by_role("heading", name="Hello from the demo").wait_for()
        shot(page, f"{name}-{size[0]}-{scheme}")


def test_everything_has_a_name(browse):
    """What a screen reader would read: no control without one."""
    for path in ("/", "/spaces/alice/first-demo", "/submit", "/admin", "/login"):
        page = browse(path, admin=True)
        nameless = page.evaluate("""[...document.querySelectorAll("a, button, input:not([type=hidden]), progress, iframe, select")]
            .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.title || (e.labels && e.labels.length))).map((e) => e.outerHTML)""")
        assert not nameless, (path, nameless)


def test_delete_asks_first(browse, up, shot):
    page = browse("/admin", admin=True)
    row = page.locator("#spaces tr[data-space='bob/second']")
    row.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete bob/second?")
    shot(page, "delete")
    page.keyboard.press("Escape")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    expect(row).to_have_count(0)
    assert up.get("/api/spaces/bob/second").status == 404


def test_delete_without_scripts(browse, up):
    page = browse("/spaces/alice/broken", admin=True, scripts=False)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url(up.url + "/")
    assert up.get("/api/spaces/alice/broken").status == 404
