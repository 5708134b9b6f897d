"""The waiting page of the gateway in a real browser: live stage and lines, and the demo in its place by itself."""
import os
import sys

from conftest import SHOTS

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "gateway"))
import harness  # noqa: E402


def test_wait_page_turns_into_the_demo(chromium):
    g = harness.Gateway(gateway__wait_page_after="100ms")
    context = chromium.new_context(viewport={"width": 390, "height": 760}, color_scheme="dark")
    try:
        g.space("examples-digits", title="Digits <1>", space="examples/digits", emoji="🔢", stage="SLEEPING")
        page = context.new_page()
        faults = []
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.goto(f"http://examples-digits.localhost:{g.port}/", wait_until="domcontentloaded")
        assert page.inner_text("h1") == "Digits <1>"
        g.runner.wait("WAKE")
        g.runner.route("examples-digits", stage="APP_STARTING", message="fold 3 of 5")
        g.runner.send("WAIT_LINE", space_id=1, text="accuracy <b>0.97</b>")
        page.wait_for_function("document.getElementById('log').textContent.includes('accuracy <b>0.97</b>')")
        assert page.inner_text("#stage") == "Starting" and page.inner_text("#message") == "fold 3 of 5"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        os.makedirs(SHOTS, exist_ok=True)
        page.screenshot(path=os.path.join(SHOTS, "waiting-phone-dark.png"))

        def demo(c):
            while c.request():
                c.answer("<title>demo</title>here it is", fields="Content-Type: text/html\r\n")

        g.runner.route("examples-digits", stage="RUNNING", message="", worker=g.worker(7, demo))
        page.wait_for_function("document.title === 'demo'")
        assert not faults
    finally:
        context.close()
        g.close()
