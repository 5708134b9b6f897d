"""The examples do what their pages say: each run by itself, then all of them inside Vitrine."""
import contextlib
import http.client
import io
import json
import os
import re
import subprocess
import time

import pytest
from vitrine import BUILD, ROOT, free_port, until

EXAMPLES = os.path.join(BUILD, "examples")
PYTHON = "/usr/bin/python3"


class Demo:
    """A way to a demo: `ask` sends one request, on a connection of its own or a kept one."""

    def __init__(self, port, host="demo"):
        self.port, self.host = port, host
        self.kept = None

    def open(self, method, path, body=None, headers=None, timeout=30):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        c.request(method, path, body, {"Host": self.host, **(headers or {})})
        return c.getresponse()

    def ask(self, method, path, body=None, headers=None):
        if not self.kept:
            self.kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            self.kept.request(method, path, body, {"Host": self.host, **(headers or {})})
            r = self.kept.getresponse()
            return r.status, r.read()
        except (OSError, http.client.HTTPException):
            self.kept.close()
            self.kept = None
            raise

    def json(self, method, path, body=None):
        status, data = self.ask(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body))
        assert status == 200, data
        return json.loads(data)


@contextlib.contextmanager
def running(argv, log, **env):
    port = free_port()
    with open(log, "wb") as out:
        p = subprocess.Popen(argv, env={**os.environ, "PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1", **env},
                             stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        demo = Demo(port)
        assert until(lambda: p.poll() is not None or demo.ask("GET", "/")[0] == 200, 90, 0.005)
        assert p.poll() is None, open(log).read()
        demo.log = log
        yield demo
    finally:
        p.kill()
        p.wait()


def start_digits(tmp, log="log"):
    return running([PYTHON, os.path.join(EXAMPLES, "digits", "app.py")], tmp / log, DIGITS_DATA=str(tmp))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    with start_digits(tmp_path_factory.mktemp("digits")) as demo:
        yield demo


@pytest.fixture(scope="module")
def textgen(tmp_path_factory):
    with running([os.path.join(EXAMPLES, "textgen", "textgen")], tmp_path_factory.mktemp("textgen") / "log") as demo:
        yield demo


# --- digits ---

def share_of_held_out_read_right(demo):
    held = demo.json("GET", "/api/held-out")
    assert len(held["labels"]) == len(set(held["indices"])) == 360
    right = 0
    for pixels, label in zip(held["pixels"], held["labels"]):
        answer = demo.json("POST", "/api/predict", {"pixels": pixels})
        assert abs(sum(answer["probabilities"]) - 1) < 0.001
        assert answer["label"] == max(range(10), key=answer["probabilities"].__getitem__)
        right += answer["label"] == label
    return right / 360


def test_digits_reads_held_out_digits(digits):
    share = share_of_held_out_read_right(digits)
    assert share >= 0.95
    assert abs(digits.json("GET", "/api/info")["accuracy"] - share) < 0.001
    with open(digits.log) as f:
        assert f"accuracy {share:.4f} on 360 held-out digits" in f.read()


def test_digits_holds_out_what_it_says(digits):
    """They are those of the data set, and the model was not trained on them."""
    code = ("import json,sys,sklearn.datasets as d; held=json.load(sys.stdin); s=d.load_digits();"
            "print(all((s.data[i]==p).all() and s.target[i]==l for i,p,l in zip(held['indices'],held['pixels'],held['labels'])))")
    status, held = digits.ask("GET", "/api/held-out")
    assert subprocess.run([PYTHON, "-c", code], input=held, capture_output=True, check=True).stdout == b"True\n"
    assert digits.json("GET", "/api/info")["trained_on"] == 1797 - 360


def drawing(lines, size, width, dark=False, transparent=False):
    from PIL import Image, ImageDraw

    ink, paper = ("white", "black") if dark else ("black", (0, 0, 0, 0) if transparent else "white")
    picture = Image.new("RGBA" if transparent else "RGB", (size, size), paper)
    pen = ImageDraw.Draw(picture)
    for line in lines:
        points = [(x * size / 100, y * size / 100) for x, y in line]
        pen.line(points, fill=ink, width=width, joint="curve")
        for x, y in points:
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=ink)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


DRAWN = {
    0: [[(50, 12), (33, 20), (26, 40), (26, 62), (35, 82), (50, 88), (66, 80), (74, 60), (74, 40), (66, 20), (50, 12)]],
    1: [[(38, 28), (52, 12), (51, 88)]],
    2: [[(30, 30), (38, 16), (54, 12), (68, 20), (69, 36), (56, 56), (30, 86), (72, 86)]],
    3: [[(30, 20), (46, 12), (64, 20), (64, 38), (48, 48), (66, 58), (68, 76), (52, 88), (30, 82)]],
    5: [[(70, 14), (36, 14), (34, 44), (50, 40), (66, 50), (70, 68), (56, 86), (32, 82)]],
    7: [[(28, 14), (72, 14), (46, 88)], [(34, 50), (68, 50)]],
}


@pytest.mark.parametrize("digit", DRAWN)
@pytest.mark.parametrize("look", [dict(size=400, width=26), dict(size=120, width=4), dict(size=800, width=90),
                                  dict(size=300, width=20, dark=True), dict(size=300, width=20, transparent=True)],
                         ids=["canvas", "thin", "thick", "dark", "transparent"])
def test_digits_reads_drawings(digits, digit, look):
    assert digits.json("POST", "/api/predict", drawing(DRAWN[digit], **look))["label"] == digit


@pytest.mark.parametrize("body,status,word", [
    (b"", 400, "PNG"), (b"{}", 400, "pixels"), (b'{"pixels": [1]}', 400, "64"), (b'{"pixels": "x"}', 400, "pixels"),
    (b'{"pixels": %s}' % json.dumps([17] * 64).encode(), 400, "0 to 16"), (b'{"pixels": [%s]}' % b",".join([b"NaN"] * 64), 400, "0 to 16"),
    (b"[" * 100000, 400, "pixels"), (b"\x89PNG\r\n\x1a\n" + bytes(100), 400, "PNG"), (bytes(5 << 20), 413, "4 MiB"),
], ids=["nothing", "no pixels", "one", "a text", "too large", "no number", "deep", "broken PNG", "too long"])
def test_digits_refuses_bad_input(digits, body, status, word):
    try:
        r = digits.open("POST", "/api/predict", body)
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413
        return
    answer = r.read()
    assert r.status == status and word in json.loads(answer)["error"], answer


def test_digits_says_when_nothing_is_drawn(digits):
    r = digits.open("POST", "/api/predict", drawing([], 100, 5))
    assert r.status == 400 and json.loads(r.read()) == {"error": "there is nothing drawn"}


def test_digits_keeps_its_model(tmp_path):
    with start_digits(tmp_path) as demo:
        first = demo.json("GET", "/api/info")
    kept = tmp_path / "digits.npz"
    made = kept.stat().st_mtime_ns
    with start_digits(tmp_path) as demo:
        assert demo.json("GET", "/api/info") == first
    assert kept.stat().st_mtime_ns == made
    kept.write_bytes(kept.read_bytes()[:1000])
    with start_digits(tmp_path) as demo:
        assert demo.json("GET", "/api/info") == first
    assert os.listdir(tmp_path).count("digits.npz") == 1 and kept.stat().st_size > 100_000


# --- textgen ---

def events(response):
    """(time, event, data) of a stream, as they come."""
    event = "message"
    for line in iter(response.readline, b""):
        line = line.decode().rstrip("\n")
        if line.startswith("event: "):
            event = line[7:]
        elif line.startswith("data: "):
            yield time.monotonic(), event, json.loads(line[6:])
        elif not line:
            event = "message"


def check_stream(demo, pace=30, n=30):
    """Characters come one by one, not all at the end."""
    begun = time.monotonic()
    r = demo.open("GET", f"/api/generate?prompt=The&n={n}&pace={pace}&seed=1")
    assert r.status == 200 and r.getheader("Content-Type") == "text/event-stream"
    got = list(events(r))
    times = [at for at, event, _ in got if event == "message"]
    assert len(times) == n and all(len(data["t"]) == 1 for _, event, data in got if event == "message")
    assert got[-1][1] == "done" and got[-1][2]["characters"] == n
    least = pace * (n - 1) / 1000
    assert times[-1] - times[0] > 0.8 * least
    assert times[0] - begun < 0.5 * least
    assert sum(b - a > pace / 3000 for a, b in zip(times, times[1:])) > n / 2


def text_of(demo, query):
    return "".join(data["t"] for _, event, data in events(demo.open("GET", "/api/generate?" + query)) if event == "message")


def test_textgen_streams_one_by_one(textgen):
    check_stream(textgen)


def test_textgen_is_repeatable_with_a_seed(textgen):
    a, b, c = (text_of(textgen, f"prompt=If&n=200&pace=0&seed={s}") for s in (7, 7, 8))
    assert a == b != c and len(a) == 200


def test_textgen_writes_words_of_its_text(textgen):
    with open(os.path.join(EXAMPLES, "textgen", "held-out.txt")) as f:
        known = set(re.findall("[a-z]+", f.read()))
    words = re.findall("[a-z]+", text_of(textgen, "prompt=The&n=3000&pace=0&temperature=0.5&seed=3"))
    assert sum(w in known for w in words) / len(words) > 0.8


@pytest.mark.parametrize("query", ["", "prompt=", "n=-5&pace=0", "n=x&temperature=nan&pace=0", "prompt=%00%ff%zz&n=5&pace=0",
                                   "temperature=99&n=20&pace=0", "temperature=0&n=20&pace=0", "prompt=" + "a" * 5000 + "&n=5&pace=0"])
def test_textgen_takes_any_parameters(textgen, query):
    r = textgen.open("GET", "/api/generate?n=3&" + query if not query else "/api/generate?" + query + "&n=3&pace=0")
    assert r.status == 200 and list(events(r))[-1][1] == "done"


def test_textgen_takes_a_form(textgen):
    r = textgen.open("POST", "/api/generate", "prompt=This+License&n=10&pace=0", {"Content-Type": "application/x-www-form-urlencoded"})
    assert [e for _, e, _ in events(r)] == ["message"] * 10 + ["done"]


def test_textgen_serves_many_at_once_and_survives_who_leaves(textgen):
    leaving = [textgen.open("GET", "/api/generate?n=20000&pace=1") for _ in range(20)]
    for r in leaving:
        r.readline()
        r.close()
    slow = textgen.open("GET", "/api/generate?n=20000&pace=0")  # is not read for now
    streams = [textgen.open("GET", f"/api/generate?n=50&pace=2&seed={i}") for i in range(20)]
    assert all(len(list(events(r))) == 51 for r in streams)
    assert len(list(events(slow))) == 20001
    assert textgen.ask("GET", "/")[0] == 200


def test_textgen_measures_what_it_says(textgen):
    """The model's bits per character: as train.py computed them, and as the server's own arithmetic does."""
    folder = os.path.join(EXAMPLES, "textgen")
    out = subprocess.run([folder + "/textgen", "--score", folder + "/held-out.txt"], capture_output=True, text=True, check=True).stdout
    bits = float(re.search(r"([0-9.]+) bits per character", out)[1])
    said = textgen.json("GET", "/api/info")["held_out_bits_per_character"]
    assert abs(bits - said) < 0.001
    assert 1 < bits < 2.2
    with open(textgen.log) as f:
        assert f"{said:.3f} bits per character on held-out text" in f.read()


def test_textgen_refuses_a_damaged_model(tmp_path):
    for name in ("textgen", "index.html", "model.bin"):
        with open(os.path.join(EXAMPLES, "textgen", name), "rb") as f:
            data = f.read()
        (tmp_path / name).write_bytes(data[:-100] if name == "model.bin" else data)
    (tmp_path / "textgen").chmod(0o755)
    p = subprocess.run([tmp_path / "textgen"], capture_output=True, text=True, timeout=10)
    assert p.returncode == 1 and "model.bin" in p.stderr


# --- voice and translation: their own parts; tests/browser/test_examples.py has them in Vitrine ---

def python_in(name, code):
    r = subprocess.run([PYTHON, "-B", "-c", code], cwd=os.path.join(EXAMPLES, name), capture_output=True, text=True, timeout=120,
                       env={**os.environ, "PYTHONPATH": ".", "OPENBLAS_NUM_THREADS": "1"})
    assert r.returncode == 0, r.stderr[-2000:]
    return r.stdout


def test_voice_is_measured_on_what_it_was_not_trained_on():
    out = python_in("voice", """
import json, sys, tempfile
import detector, sounds
assert not set(sounds.SENTENCES) & set(sounds.HELD_OUT_SENTENCES)
assert not set(sounds.VOICES) & set(sounds.HELD_OUT_VOICES)
assert not set(sounds.NOISES) & set(sounds.HELD_OUT_NOISES)
folder = tempfile.mkdtemp()
model = detector.load_or_train(folder)
# Other scenes of what was held out than those that it measures itself by.
rows, labels = detector.make_set(77, 40, sounds.HELD_OUT_SENTENCES, sounds.HELD_OUT_VOICES, sounds.HELD_OUT_NOISES)
scores = model.score(rows)
again = detector.load_or_train(folder)
print(json.dumps({"auc": detector.area(*detector.roc(scores, labels)), "said": float(model.measured["auc"]),
                  "chance": detector.area(*detector.roc(scores, labels[::-1])), "kept": bool((again.score(rows) == scores).all()),
                  "silence": model.detect([0.0] * 32000)[1],
                  "frames": len(labels)}))
""")
    got = json.loads(out.splitlines()[-1])
    assert got["auc"] > 0.93 and abs(got["auc"] - got["said"]) < 0.03 and 0.3 < got["chance"] < 0.7, got
    assert got["kept"] and got["silence"] == [] and got["frames"] > 5000
    assert out.count("training on speech") == 1 and f"AUC {got['said']:.4f}" in out and out.count("false alarms") == 10


TRANSLATIONS = [
    ("English to Spanish", "My sister reads a book in the garden.", "Mi hermana lee un libro en el jardín.", []),
    ("Spanish to English", "Ayer vimos tres pájaros azules.", "Yesterday we saw three blue birds.", []),
    ("English to Spanish", "The dog sees a zzyzx.", "El perro ve un zzyzx.", ["zzyzx"]),
]


def test_translation_translates():
    """Its page with a stand-in for Streamlit that answers as somebody who has typed."""
    out = python_in("translation", f"""
import json, runpy, sys, types
for direction, text, _, _ in {TRANSLATIONS!r}:
    said = {{}}
    st = types.ModuleType("streamlit")
    st.cache_data = lambda **kw: lambda f: f
    st.radio = lambda *a, **kw: direction
    st.text_area = lambda *a, **kw: text
    st.slider = lambda label, low, high, value: value
    st.write, st.caption, st.code, st.error = (lambda *a, key=key, **kw: said.__setitem__(key, a[0]) for key in ("write", "caption", "code", "error"))
    st.set_page_config = st.title = st.subheader = lambda *a, **kw: None
    sys.modules["streamlit"] = st
    runpy.run_path("app.py")
    print(json.dumps(said))
""")
    for line, (_, _, translation, unknown) in zip(out.splitlines(), TRANSLATIONS, strict=True):
        said = json.loads(line)
        assert " ".join(said["write"].split()) == translation and "error" not in said
        assert said.get("caption", "").endswith(", ".join(unknown)) and bool(unknown) == ("caption" in said)
        assert len(said["code"].split()) == len(translation.split())


# --- all: their bundles, and in Vitrine ---

@pytest.mark.parametrize("name", ["digits", "textgen", "gallery-hello", "voice", "translation"])
def test_bundle_is_taken(name, tmp_path):
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", "cf", archive, "-C", EXAMPLES, name], check=True)
    (tmp_path / "tree").mkdir()
    with open(archive, "rb") as f:
        out = subprocess.run([os.path.join(BUILD, "vitrine-job"), "unpack", "--name", "a.tar", "--max-unpacked", "64M", "--max-files",
                              "50", tmp_path / "tree"], stdin=f, capture_output=True, text=True).stdout.splitlines()
    assert out[-1].startswith("result "), out[-1]
    record = json.loads(out[-1][7:])
    assert record["warnings"] == [] and all(record[k] for k in ("title", "emoji", "color_from", "color_to", "short_description", "readme"))


@pytest.fixture(scope="module")
def shown(up):
    """The examples in the system that this module shares."""
    for name in ("digits", "textgen", "gallery-hello"):
        up.deploy(os.path.join(EXAMPLES, name), f"examples/{name}")
    return lambda name: Demo(up.port, up.host(f"examples/{name}"))


def test_digits_in_vitrine(shown):
    demo = shown("digits")
    status, page = demo.ask("GET", "/")
    assert status == 200 and b"<title>Digits</title>" in page
    assert share_of_held_out_read_right(demo) >= 0.95
    assert demo.json("POST", "/api/predict", drawing(DRAWN[5], 400, 26))["label"] == 5


def test_textgen_in_vitrine(shown):
    demo = shown("textgen")
    assert b"<title>Textgen</title>" in demo.ask("GET", "/")[1]
    check_stream(demo)


def test_gallery_in_vitrine(shown):
    demo = shown("gallery-hello")
    assert b"<title>Hello, gallery</title>" in demo.ask("GET", "/")[1]
    r = demo.open("GET", "/exhibits.js")
    body, etag = r.read(), r.getheader("ETag")
    with open(os.path.join(ROOT, "examples/gallery-hello/exhibits.js"), "rb") as f:
        assert body == f.read()
    assert r.getheader("Content-Type") == "text/javascript; charset=utf-8"
    assert demo.open("GET", "/exhibits.js", headers={"If-None-Match": etag}).status == 304
    r = demo.open("GET", "/style.css", headers={"Range": "bytes=0-9"})
    assert r.status == 206 and len(r.read()) == 10
    for path in ("/nothing", "/../README.md/..", "/%2e%2e/%2e%2e/etc/passwd", "/.git/config"):
        assert demo.open("GET", path).status in (400, 404)
