"""The examples that are Gradio and Streamlit apps: built from their own requirements, asked as programs ask them, and
used in a browser as people do."""
import array
import io
import json
import os
import re
import subprocess
import urllib.request
import uuid
import wave

import pytest
from vitrine import BUILD, Vitrine, until

EXAMPLES = os.path.join(BUILD, "examples")
WHEELS = os.path.join(BUILD, "wheels")  # most of what the index would give: the Makefile fetches them
BUILD_S = 400


@pytest.fixture(scope="module")
def up():
    v = Vitrine(f"[lifecycle]\nsleep_after = 10m\n[build]\nfind_links = {WHEELS}\n")
    v.start()
    v.url = f"http://{v.site}"
    yield v
    v.end()


@pytest.fixture(scope="module")
def shown(up):
    """Both are built at the same time."""
    for name in ("voice", "translation"):
        r = up.cli("deploy", os.path.join(EXAMPLES, name), f"examples/{name}", "--no-wait")
        assert r.returncode == 0, r.stderr

    def url(name):
        assert until(lambda: up.stage(f"examples/{name}") not in ("BUILDING", "APP_STARTING"), BUILD_S, 0.5)
        status = up.status(f"examples/{name}")
        assert status["stage"] == "RUNNING", (status, up.cli("logs", f"examples/{name}", "--build").stdout[-3000:])
        return status["url"]

    return url


@pytest.fixture(scope="module")
def voice(shown):
    return shown("voice")


@pytest.fixture(scope="module")
def translation(shown):
    return shown("translation")


@pytest.fixture
def visit(chromium):
    contexts = []

    def open_page(url):
        contexts.append(chromium.new_context(viewport={"width": 1100, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(30000)
        page.goto(url)
        return page

    yield open_page
    for c in contexts:
        c.close()


def speech(tmp_path, text, voice="en-us+f5"):
    path = tmp_path / "speech.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-w", path, text], check=True)
    return path.read_bytes()


def noise(seconds=3):
    out = io.BytesIO()
    samples = array.array("h", os.urandom(2 * 22050 * seconds))
    with wave.open(out, "wb") as w:
        w.setparams((1, 2, 22050, 0, "NONE", ""))
        w.writeframes(array.array("h", (s // 4 for s in samples)).tobytes())
    return out.getvalue()


def post(url, body, kind):
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": kind}), timeout=60) as r:
        return json.load(r)


def detect(url, wav):
    """The answer of the demo's API, as gradio_client asks for it: the sentence and the segments."""
    mark = uuid.uuid4().hex
    form = (f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n').encode()
    path = post(url + "/gradio_api/upload", form + wav + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}")[0]
    data = json.dumps({"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}).encode()
    event = post(url + "/gradio_api/call/detect", data, "application/json")["event_id"]
    with urllib.request.urlopen(f"{url}/gradio_api/call/detect/{event}", timeout=60) as r:
        said = r.read().decode()
    assert "event: complete" in said, said
    return json.loads(re.search("event: complete\ndata: (.*)", said)[1])[:2]


def test_voice_tells_speech_from_noise(up, voice, tmp_path):
    said, segments = detect(voice, speech(tmp_path, "The birds are behind glass, and nobody can touch them."))
    spoken = sum(s["to"] - s["from"] for s in segments)
    assert said.startswith("Speech: ") and 2 < spoken < 3.3
    assert detect(voice, noise()) == ["No speech in 3.0 s", []]
    log = up.cli("logs", "examples/voice").stdout
    assert float(re.search(r"AUC ([0-9.]+) on \d+ held-out frames", log)[1]) > 0.95 and log.count("false alarms") == 5
    # The model is kept: a worker that starts again trains nothing.
    assert up.cli("restart", "examples/voice").returncode == 0
    assert detect(voice, noise())[1] == []
    log = up.cli("logs", "examples/voice").stdout
    assert "held-out frames" in log and "training on speech" not in log


def test_voice_in_a_browser(voice, visit, tmp_path):
    page = visit(voice)
    wav = tmp_path / "birds.wav"
    wav.write_bytes(speech(tmp_path, "Please speak after the tone."))
    page.locator("input[type=file]").first.set_input_files(wav)
    page.locator("audio, .waveform-container").first.wait_for(state="attached")
    page.get_by_role("button", name="Detect").click()
    page.wait_for_function("[...document.querySelectorAll('textarea, input')].some((e) => e.value.startsWith('Speech: '))")



def test_translation_in_a_browser(translation, visit):
    """The page lives on a WebSocket: what is typed, the answer, the slider."""
    page = visit(translation)
    page.get_by_text("Mi hermana lee un libro en el jardín.").first.wait_for()
    box = page.get_by_label("Text", exact=True)
    box.fill("The blue bird eats three red apples.")
    box.press("Control+Enter")
    page.get_by_text("El pájaro azul come tres manzanas rojas.").first.wait_for()
    gaps = page.locator("[data-testid=stCode]")
    assert "___" in gaps.inner_text()
    before = gaps.inner_text()
    page.get_by_role("slider").press("ArrowRight")
    page.wait_for_function("(before) => document.querySelector('[data-testid=stCode]').innerText !== before", arg=before)
    page.get_by_text("Spanish to English").click()
    page.get_by_text("My sister reads a book in the garden.").first.wait_for()
    page.wait_for_function("document.querySelectorAll('textarea').length === 1")  # the other direction's is gone
    box = page.get_by_label("Text", exact=True)
    box.fill("El perro bebe zzyzx.")
    box.press("Control+Enter")
    page.get_by_text("Not in the dictionary, and left as they are: zzyzx").wait_for()
