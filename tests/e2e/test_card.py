"""What a card and the settings promise: hardware by name, base_path, the gallery's picture, pins and chips."""
import base64
import json
import os

from vitrine import until

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
FLAVOURS = "[limits]\nmemory = 256M\n[hardware]\nflavours = cpu-upgrade: memory=512M cpu=2; cpu-xl: memory=768M cpu=3\n"
HTML = {"Accept": "text/html"}


def env(v, name="demo/probe"):
    e = v.ask(name, "/env")
    return e["MEMORY"], e["CPU_CORES"]


def restarted(v, born):
    def again():
        now = v.ask("demo/probe", "/start")
        return now > born and now
    return until(again, 30)


def test_hardware_by_name(vitrine):
    v = vitrine(FLAVOURS)
    v.deploy(v.probe(card="title: P\nsdk: python\napp_file: app.py\nsuggested_hardware: cpu-upgrade"), "demo/probe")
    names = [(h["name"], h["cpu"], h["ram"]) for h in v.get("/api/spaces/hardware").json]
    assert names == [("cpu-basic", "1 vCPU", "256 MB"), ("cpu-upgrade", "2 vCPU", "512 MB"), ("cpu-xl", "3 vCPU", "768 MB")]
    assert env(v) == ("512Mi", "2")
    assert v.get("/api/spaces/demo/probe/runtime").json["hardware"] == {"current": "cpu-upgrade", "requested": "cpu-upgrade"}

    born = v.ask("demo/probe", "/start")
    a = v.api("POST", "/api/spaces/demo/probe/hardware", body=json.dumps({"flavor": "cpu-xl"}))
    assert a.status == 200 and a.json["hardware"]["current"] == "cpu-xl"
    assert restarted(v, born) and env(v) == ("768Mi", "3")
    a = v.api("POST", "/api/spaces/demo/probe/hardware", body=json.dumps({"flavor": "a100-large"}))
    assert a.status == 400 and "cpu-basic, cpu-upgrade, cpu-xl" in a.json["error"]

    # the operator's word for this Space counts more than a flavour's; what it does not say is the flavour's
    assert v.cli("limits", "demo/probe", "memory=300M").returncode == 0
    assert v.cli("restart", "demo/probe").returncode == 0
    assert until(lambda: env(v) == ("300Mi", "3"), 30)


def test_one_that_is_not_here(vitrine):
    """The nearest one, and the build's log says so."""
    v = vitrine(FLAVOURS)
    v.deploy(v.probe(card="title: P\nsdk: python\napp_file: app.py\nsuggested_hardware: a100-large"), "demo/probe")
    assert env(v) == ("768Mi", "3")
    assert v.get("/api/spaces/demo/probe/runtime").json["hardware"] == {"current": "cpu-xl", "requested": "a100-large"}
    page = v.api("GET", "/spaces/demo/probe/settings", headers=HTML).body
    assert b"a100-large" in page and b"none of this server" in page and b"cpu-xl, the nearest" in page
    log = v.cli("logs", "demo/probe", "--build").stdout
    assert 'warning: suggested_hardware: this server has no "a100-large" (and no GPU); the nearest is cpu-xl' in log, log


def test_wrong_flavours_are_named_at_the_start(vitrine):
    v = vitrine("[hardware]\nflavours = big: gpu=many\n", start=False)
    v.start(wait=False)
    assert v.up.wait(20) == 1 and "gpu=many: it must be a whole number of GPUs" in v.log
    v.up = None


def test_gallery_and_page(vitrine):
    v = vitrine()
    card = ("title: P\nsdk: python\napp_file: app.py\npinned: true\nthumbnail: /art/face.png\nbase_path: /version\n"
            "tags: [vision, '<b>']\nmodels: [openai/whisper-tiny]\ndatasets: [mnist]")
    bundle = v.probe(card=card)

    os.makedirs(bundle + "/art")
    with open(bundle + "/art/face.png", "wb") as f:
        f.write(PNG)
    v.deploy(bundle, "demo/probe")
    gallery = v.get("/", headers=HTML).body.decode()
    assert "Pinned" in gallery and 'src="/spaces/demo/probe/thumbnail?v=' in gallery
    for _ in range(2):  # the second is kept
        a = v.get("/spaces/demo/probe/thumbnail")
        assert (a.status, a.body, a.headers["content-type"], a.headers["x-content-type-options"]) == (200, PNG, "image/png", "nosniff")
    page = v.get("/spaces/demo/probe", headers=HTML).body.decode()
    assert f'src="http://{v.host("demo/probe")}/version"' in page
    for chip in ("<li>vision</li>", "<li>&lt;b&gt;</li>", 'href="https://huggingface.co/openai/whisper-tiny"', 'href="https://huggingface.co/datasets/mnist"'):
        assert chip in page, chip

    # what is no picture is not shown as one, and a picture elsewhere is not shown at all
    with open(bundle + "/art/face.png", "w") as f:
        f.write("<script>alert(1)</script>")
    v.deploy(bundle, "demo/probe")
    assert v.get("/spaces/demo/probe/thumbnail").status == 404
    v.deploy(v.probe("other", card="title: P\nsdk: python\napp_file: app.py\nthumbnail: https://example.com/x.png"), "demo/probe")
    assert "thumbnail" not in v.get("/", headers=HTML).body.decode()
