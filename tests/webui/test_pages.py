"""Pages without a browser: they are whole, safe, and say what is so."""
import json
import re
from html.parser import HTMLParser

from platform_fake import TOKEN


class Page(HTMLParser):
    """Every element is closed in order, and nothing is inline that the policy forbids."""
    VOID = {"meta", "link", "input", "br", "img", "hr", "path", "circle"}

    def __init__(self, text):
        super().__init__()
        self.stack, self.text, self.tags = [], "", []
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        assert not [a for a, _ in attrs if a.startswith("on") or a == "style"]
        assert tag != "style" and (tag != "script" or dict(attrs).get("src"))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text += data


def page(site, path, status=200, token=None):
    got, body, headers = site.ask("GET", path, headers={"Accept": "text/html"}, token=token)
    assert got == status and headers["Content-Type"] == "text/html; charset=utf-8"
    return Page(body.decode())


def test_first_visit_says_how(site):
    p = page(site, "/")
    assert "vitrine deploy ./my-demo alice/my-demo" in p.text


def test_gallery_and_search(site):
    site.deploy()
    assert "A title" in page(site, "/").text
    assert "Starting" in page(site, "/?q=title").text
    assert "Nothing matches “<b>”" in page(site, "/?q=%3Cb%3E").text


def test_gallery_has_pages(site):
    for i in range(61):
        site.deploy(f"alice/s{i}")
    first, second = page(site, "/"), page(site, "/?page=2")
    assert sum(t == "li" for t, _ in first.tags) == 60 and sum(t == "li" for t, _ in second.tags) == 1
    assert ("a", {"class": "button quiet", "href": "/?page=2", "rel": "next"}) in first.tags


def test_space_page(site):
    site.deploy()
    p = page(site, "/spaces/alice/hello")
    frame = next(a for t, a in p.tags if t == "iframe")
    assert frame["src"] == "http://alice-hello.localhost:8080"
    assert set(frame["sandbox"].split()) == {"allow-scripts", "allow-forms", "allow-same-origin", "allow-popups", "allow-downloads", "allow-modals"}
    assert "Restart" not in p.text and "Logs" not in p.text
    assert "Restart" in page(site, "/spaces/alice/hello", token=TOKEN).text


def test_readme_is_harmless(site):
    site.deploy(body=json.dumps({"readme": "# Hi\n<script>alert(1)</script>\n[x](javascript:alert(1)) **bold** <img src=x onerror=alert(1)>"}).encode())
    body = site.ask("GET", "/spaces/alice/hello")[1].decode()
    assert "<strong>bold</strong>" in body and "alert(1)</script>" not in body and "javascript:" not in body and "onerror" not in body


def test_what_a_bundle_says_is_escaped(site):
    evil = '"><script>alert(1)</script>'
    site.deploy(body=json.dumps({"title": evil, "emoji": evil, "color_from": evil, "color_to": evil, "short_description": evil, "sdk": evil}).encode())
    site.runner.set_stage(site.space_id(), "RUNTIME_ERROR", evil)
    site.runner.event(site.space_id(), "alice/hello", "worker.failed", evil)
    for path in ("/", "/spaces/alice/hello", "/admin"):
        assert "alert(1)" in page(site, path, token=TOKEN).text


def test_failed_space_shows_why_instead_of_the_demo(site):
    site.deploy()
    site.runner.set_stage(site.space_id(), "RUNTIME_ERROR", "app.py exited with status 3")
    p = page(site, "/spaces/alice/hello")
    assert "app.py exited with status 3" in p.text
    assert "src" not in next(a for t, a in p.tags if t == "iframe")


def test_admin_page(site):
    site.deploy()
    site.runner.add_worker(site.space_id(), 3, 1, memory_bytes=1)
    site.runner.event(site.space_id(), "alice/hello", "worker.ready", "ok")
    p = page(site, "/admin", token=TOKEN)
    assert "worker.ready" in p.text and "alice/hello" in p.text


def test_errors_are_pages_for_people_and_json_for_programs(site):
    assert "There is no Space a/b." in page(site, "/spaces/a/b", 404).text
    assert site.api("GET", "/api/spaces/a/b") == (404, {"error": "there is no Space a/b"})
    page(site, "/nothing", 404)
    page(site, "/static/nothing.css", 404)
    page(site, "/admin", 401)
    page(site, "/" + "x" * 5000, 414)


def test_static_files(site):
    p = page(site, "/")
    href = next(a["href"] for t, a in p.tags if t == "link" and a["rel"] == "stylesheet")
    status, body, headers = site.ask("GET", href)
    assert status == 200 and "immutable" in headers["Cache-Control"] and headers["Content-Type"].startswith("text/css")
    assert not re.search(rb"https?://|@import", body)
    assert site.ask("GET", href, headers={"If-None-Match": headers["ETag"]})[0] == 304
    assert site.ask("GET", "/static/..%2fpages%2flayout.html")[0] == 404


def test_head(site):
    status, body, headers = site.ask("HEAD", "/")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 500


def test_forms_without_scripts(site):
    site.deploy()
    status, _, headers = site.ask("POST", "/spaces/alice/hello/stop", token=TOKEN)
    assert (status, headers["Location"]) == (303, "http://localhost:8080/spaces/alice/hello")
    assert "Delete it" in page(site, "/spaces/alice/hello/delete", token=TOKEN).text
    status, _, headers = site.ask("POST", "/spaces/alice/hello/delete", token=TOKEN)
    assert (status, headers["Location"]) == (303, "/")
