"""Ten Spaces of the shapes that people publish run unmodified: submitted as they are, opened in a browser, asked by clients."""
import concurrent.futures
import hashlib
import json

from gradio_client import Client, handle_file

from conftest import LARGE, OWNER
from vitrine import until


def client(shapes, name):
    return Client(f"http://{shapes.host(name)}/", verbose=False)


def test_gradio_blocks_with_streaming_and_a_file(shapes, page, tmp_path):
    host = shapes.host("blocks")
    page.goto(f"http://{host}/")
    page.get_by_label("Text", exact=True).fill("vitrine")
    page.locator("#spell").click()
    page.wait_for_function("[...document.querySelectorAll('textarea, input')].some(e => e.value === 'VITRINE')")
    c = client(shapes, "blocks")
    job = c.submit("abc", api_name="/spell")
    assert job.result(60) == "ABC" and job.outputs() == ["A", "AB", "ABC"], "it was streamed"
    file = tmp_path / "words.txt"
    file.write_text("one three two")
    assert c.predict(handle_file(str(file)), api_name="/count") == {"words": 3, "longest": "three"}


def test_gradio_with_a_queue(shapes):
    c = client(shapes, "queue")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: c.predict(n, api_name="/predict"), range(8))) == [n * n for n in range(8)]


def test_chat_interface(shapes, page):
    host = shapes.host("chat")
    page.goto(f"http://{host}/")
    box = page.locator("textarea").first
    box.fill("stressed")
    box.press("Enter")
    page.get_by_text("(1) desserts").first.wait_for()
    assert client(shapes, "chat").predict("abc", api_name="/chat") == "(1) cba"


def test_an_old_gradio_3(shapes):
    host = shapes.host("gradio3")
    config = shapes.up.get("/config", host).json
    assert config["version"].startswith("3.50")
    r = shapes.up.http("POST", "/run/predict", host, json.dumps({"fn_index": 0, "data": ["ann", True]}), {"Content-Type": "application/json"})
    assert r.json["data"] == ["HELLO ANN"]


def test_streamlit_with_pages(shapes, page):
    host = shapes.host("multipage")
    page.goto(f"http://{host}/")
    page.get_by_text("The area is 9.").wait_for()
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    page.get_by_text("The area is 16.").wait_for()
    page.get_by_role("link", name="Cube").click()
    page.get_by_text("The volume is 64.").wait_for()


def test_streamlit_over_http2(shapes, page):
    """The page and the WebSocket that it lives by: one connection of HTTP/2 (RFC 8441)"""
    host = shapes.host("multipage").split(":")[0]
    page.goto(f"https://{host}:{shapes.tls_port}/")
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    page.get_by_text("The area is 9.").wait_for()
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    page.get_by_text("The area is 16.").wait_for()
    page.goto("about:blank")
    line = until(lambda: [x for x in shapes.access_log() if x["host"].startswith(host) and x["target"].endswith("/_stcore/stream") and x["version"] == "2.0"])
    assert line and line[0]["status"] in (101, 200) and line[0]["bytes_out"] > 1000, shapes.access_log()[-20:]


def test_static_with_a_build(shapes):
    r = shapes.up.get("/", shapes.host("built"))
    assert r.status == 200 and b"<title>Built here</title>" in r.body and b"<li>27</li>" in r.body


def test_fastapi(shapes, page):
    host = shapes.host("fastapi")
    assert shapes.up.get("/", host).json == {"space": f"{OWNER}/fastapi"}
    r = shapes.up.http("POST", "/sum", host, json.dumps({"numbers": [1, 2.5]}), {"Content-Type": "application/json"})
    assert r.json == {"sum": 3.5}
    assert shapes.up.http("POST", "/sum", host, "{}", {"Content-Type": "application/json"}).status == 422
    page.goto(f"http://{host}/docs")
    assert page.evaluate("""() => new Promise((done, failed) => {
        const s = new WebSocket("ws://" + location.host + "/echo");
        s.onopen = () => s.send("stressed");
        s.onmessage = (m) => done(m.data);
        s.onerror = () => failed("error");
    })""") == "desserts"


def test_node(shapes):
    host = shapes.host("node")
    assert shapes.up.get("/2%20days", host).json == {"asked": "2 days", "ms": 172800000}


def test_packages_txt(shapes):
    r = shapes.up.get("/Hi", shapes.host("packages"))
    assert r.status == 200 and len(r.body.splitlines()) >= 5 and b"_" in r.body


def test_a_large_file_of_lfs(shapes):
    r = shapes.up.get("/weights.bin", shapes.host("lfs"))
    assert r.status == 200 and hashlib.sha256(r.body).digest() == hashlib.sha256(LARGE).digest()
