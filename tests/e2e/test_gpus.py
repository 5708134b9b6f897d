"""GPUs by flavour, as a whole: links to /dev/full stand in for the cards, so that they can be looked at and no driver is needed."""
import http.client
import json
import os

import pytest
from vitrine import until

HTML = {"Accept": "text/html"}
CARD = "title: P\nsdk: python\napp_file: app.py\nsuggested_hardware: "


@pytest.fixture
def with_gpus(vitrine, tmp_path):
    os.chmod(tmp_path, 0o755)

    def make(*names, more=""):
        for n in names:
            os.symlink("/dev/full", tmp_path / n)
        return vitrine("[limits]\nmemory = 256M\n[hardware]\nflavours = card: memory=300M gpu=1\n"
                       f"gpus = {', '.join(str(tmp_path / n) for n in names)}\n{more}")
    return make


def devices(v, name):
    return [d for d in v.ask(name, "/dev") if d.startswith("nvidia")]


def test_two_spaces_and_one_card(with_gpus):
    v = with_gpus("nvidia0")
    v.deploy(v.probe(card=CARD + "t4-small"), "demo/a")
    assert devices(v, "demo/a") == ["nvidia0"]
    log = v.cli("logs", "demo/a", "--build").stdout
    assert 'this server has no "t4-small"; the nearest is card' in log and "no GPU" not in log, log
    v.deploy(v.probe("plain"), "demo/plain")
    assert devices(v, "demo/plain") == []
    assert v.get("/api/spaces/demo/a/runtime").json["hardware"] == {"current": "card", "requested": "t4-small"}
    said = v.cli("status", "demo/a").stdout
    assert "gpu      nvidia0\n" in said and "hardware card\n" in said, said
    assert v.status("demo/a")["gpus"] == "nvidia0" and "gpus" not in v.status("demo/plain")
    [with_gpu] = [w for w in v.api("GET", "/api/admin/workers").json["workers"] if w["gpus"]]
    assert (with_gpu["space"], with_gpu["gpus"]) == ("demo/a", "nvidia0")
    assert b"card, 1 GPU" in v.get("/spaces/demo/a", headers=HTML).body

    # somebody is there: who comes next waits, and reads why
    c = http.client.HTTPConnection("127.0.0.1", v.port, timeout=30)
    c.request("GET", "/slow?30", headers={"Host": v.host("demo/a")})
    v.deploy(v.probe("second", card=CARD + "card"), "demo/b", "--no-wait")
    assert until(lambda: "by demo/a" in v.status("demo/b").get("reason", ""), 20), v.status("demo/b")
    assert v.stage("demo/b") == "APP_STARTING" and "gpus" not in v.status("demo/b")
    page = v.demo("demo/b", "/", headers=HTML)
    assert page.status in (200, 503) and b"the GPU of this server is in use, by demo/a" in page.body, page.body
    c.close()
    assert until(lambda: v.stage("demo/b") == "RUNNING", 30), v.log[-2000:]
    assert v.stage("demo/a") == "SLEEPING" and devices(v, "demo/b") == ["nvidia0"]


def test_what_the_client_and_the_pages_show(with_gpus):
    v = with_gpus("nvidia0", "nvidia1")
    hardware = {h["name"]: h for h in v.get("/api/spaces/hardware").json}
    assert hardware["cpu-basic"]["accelerator"] is None
    assert hardware["card"]["accelerator"] == {"type": "gpu", "model": "GPU", "quantity": "1", "vram": "N/A", "manufacturer": "N/A"}
    v.deploy(v.probe(), "demo/a")
    assert b"300 MB, 1 GPU" in v.api("GET", "/spaces/demo/a/settings", headers=HTML).body
    a = v.api("POST", "/api/spaces/demo/a/hardware", body=json.dumps({"flavor": "a10g-small"}))  # by Hugging Face's name
    assert a.status == 200 and a.json["hardware"] == {"current": "card", "requested": "a10g-small"}
    assert until(lambda: v.status("demo/a").get("gpus") == "nvidia0", 30)
    a = v.api("POST", "/api/spaces/demo/a/hardware", body=json.dumps({"flavor": "nobodys"}))
    assert a.status == 400 and "cpu-basic, card" in a.json["error"] and "no GPU" not in a.json["error"]
    # a crash of `up` and a new one: it still has it
    v.kill_up()
    v.start()
    assert until(lambda: v.stage("demo/a") == "RUNNING", 20) and v.status("demo/a")["gpus"] == "nvidia0"
    v.deploy(v.probe("second", card=CARD + "card"), "demo/b")
    assert v.status("demo/b")["gpus"] == "nvidia1"


def test_check_says_what_there_is(with_gpus):
    v = with_gpus("nvidia0", more="gpu_common = /dev/zero\n")

    def gpus(*lines):
        path = os.path.join(v.folder, "other.ini")
        with open(path, "w") as f:
            f.write("[hardware]\n" + "\n".join(lines) + "\n")
        found = json.loads(v.cli("check", "--json", "--config", path).stdout)["checks"]
        return [(c["state"], c["detail"]) for c in found if c["name"] == "gpus"]
    assert gpus("gpus = /dev/full", "flavours = card: gpu=1") == [("ok", "workers can be given full")]
    assert gpus("gpus = /dev/full", "flavours = card: gpu=2") == [("weak", "full; a flavour asks for 2")]
    assert "no flavour" in gpus("gpus = /dev/full")[0][1]
    assert gpus("gpus = none", "flavours = card: gpu=1") == [("missing", "none, and flavours ask for 1")]
    assert gpus("gpus = none") == [("ok", "none")]
    assert gpus("gpus = /dev/no-such")[0][0] == "weak"
