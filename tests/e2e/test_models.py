"""preload_from_hub: models from a hub of the test's own, read in workers by the real huggingface_hub, shared by content."""
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import time

import pytest
import wheels
from fakehub import FakeHub, sha256
from test_builds import builds, life
from vitrine import until

KILLS = int(os.environ.get("KILLS", "6"))
CACHE = "/home/user/.cache/huggingface/hub"
WEIGHTS = random.Random(1).randbytes(3 << 20)
OTHER = random.Random(2).randbytes(1 << 20)
CONFIG = b'{"url": "https://huggingface.co/x"}'
TREE = '''import os
out = {}
for folder, _, files in os.walk("%s"):
    for f in files:
        p = os.path.join(folder, f)
        if "/snapshots/" in p: out[p.split("/hub/")[1]] = len(open(p, "rb").read())
return dict(sorted(out.items()))''' % CACHE


@pytest.fixture
def hub():
    h = FakeHub()
    yield h
    h.close()


def configuration(hub, more="index = none\n"):
    return f"[build]\nuv = none\nhub = {hub.url}\n{more}"


def submit(v, name, code, *entries, **kw):
    card = "preload_from_hub:\n" + "".join(f"- {e}\n" for e in entries)
    folder = wheels.bundle(os.path.join(v.folder, "b-" + name.replace("/", "-")), code, card=card, **kw)
    return v.cli("deploy", folder, name)


def page(v, name, code, *entries, **kw):
    r = submit(v, name, code, *entries, **kw)
    assert r.returncode == 0, r.stderr + builds(v, name) + v.log[-3000:]
    return v.demo(name).body.decode()


def stored(v):
    folder = v.data + "/models/sha256"
    return {n: os.stat(f"{folder}/{n}") for n in os.listdir(folder)} if os.path.isdir(folder) else {}


def parts(v):
    return [os.path.join(f, n) for f, _, names in os.walk(v.data + "/models/parts") for n in names]


HF = '''
import os, time
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
if OFFLINE: os.environ["HF_HUB_OFFLINE"] = "1"
from huggingface_hub import hf_hub_download, snapshot_download, constants
begin = time.monotonic()
paths = [hf_hub_download("lab/tiny", f, revision=R) for f in ("config.json", "deep/er/model.safetensors") for R in (None, COMMIT)]
out = [len(open(p, "rb").read()) for p in paths]
assert snapshot_download("lab/whole", local_files_only=True).endswith(WHOLE)
took = time.monotonic() - begin
# it goes on writing there, and the files of others cannot be written
blob = os.path.realpath(paths[-1])
for what in (lambda: open(blob, "r+b"), lambda: os.chmod(blob, 0o666), lambda: os.truncate(blob, 0)):
    try: what(); out.append("WRITTEN")
    except OSError: pass
folder = os.path.join(constants.HF_HUB_CACHE, "models--lab--tiny")
for more in ("blobs/x", "refs/x", "snapshots/x"): open(os.path.join(folder, more), "w").write("mine")
open(os.path.join(constants.HF_HOME, "token"), "w").write("mine")
open("/home/user/.cache/mine", "w").write("mine")
out.append("slow" if took > 10 else "quick")
'''


@pytest.mark.parametrize("offline, client", [(True, "huggingface_hub==1.1.4"), (False, "huggingface_hub")], ids=["yearold-offline", "current-hub-unreachable"])
def test_the_real_client_finds_what_was_preloaded(vitrine, hub, offline, client):
    commit = hub.add("lab/tiny", {"config.json": CONFIG, "deep/er/model.safetensors": WEIGHTS, "unwanted.bin": OTHER},
                     large=("deep/er/model.safetensors", "unwanted.bin"))
    whole = hub.add("lab/whole", {"a.txt": b"", "b/c.bin": OTHER}, large=("b/c.bin",))
    v = vitrine(configuration(hub, ""))
    code = HF.replace("OFFLINE", str(offline)).replace("COMMIT", repr(commit)).replace("WHOLE", repr(whole)) + "return out"
    entries = ("lab/tiny config.json,deep/er/model.safetensors", f"lab/tiny config.json {commit}", "lab/whole")
    text = page(v, "demo/real", code, *entries, requirements=client + "\n")
    assert text == str([len(CONFIG)] * 2 + [len(WEIGHTS)] * 2 + ["quick"])
    log = builds(v, "demo/real")
    assert "preload: lab/tiny at " + commit[:12] in log and "preload: fetching " in log
    assert not any("unwanted" in path for _, path, _ in hub.asked)
    # another worker of it finds the cache as it was built
    assert v.cli("restart", "demo/real").returncode == 0
    assert until(lambda: v.demo("demo/real").body.decode() == text, 30)


def test_two_owners_share_what_is_equal_and_nothing_is_fetched_twice(vitrine, hub):
    one = hub.add("lab/tiny", {"config.json": CONFIG, "model.safetensors": WEIGHTS}, large=("model.safetensors",))
    v = vitrine(configuration(hub))
    want = {f"models--lab--tiny/snapshots/{one}/config.json": len(CONFIG), f"models--lab--tiny/snapshots/{one}/model.safetensors": len(WEIGHTS)}
    assert page(v, "demo/one", TREE, "lab/tiny") == str(want)
    assert len(hub.gets("/blob/")) == 1
    # somebody else's, from another repository, in which the same file has another name
    two = hub.add("copy/moved", {"renamed.bin": WEIGHTS, "more.bin": OTHER}, large=("renamed.bin", "more.bin"))
    hub.renamed["copy/tiny"] = "copy/moved"
    text = page(v, "other/two", TREE, "copy/tiny renamed.bin,more.bin")
    assert text == str({f"models--copy--tiny/snapshots/{two}/{n}": s for n, s in (("more.bin", len(OTHER)), ("renamed.bin", len(WEIGHTS)))})
    assert len(hub.gets("/blob/" + sha256(WEIGHTS))) == 1 and "is here already" in builds(v, "other/two")
    found = stored(v)
    assert set(found) == {sha256(x) for x in (WEIGHTS, CONFIG, OTHER)}
    assert found[sha256(WEIGHTS)].st_nlink == 3 and found[sha256(WEIGHTS)].st_mode & 0o777 == 0o444  # the store and two caches
    assert not parts(v)
    # the same entries again, with another program: nothing is asked
    asked = len(hub.asked)
    assert page(v, "demo/one", TREE + "\n", "lab/tiny", **{"more.txt": "x"}) == str(want)
    assert len(hub.asked) == asked and "models " in builds(v, "demo/one") and "are there already" in builds(v, "demo/one")
    # a new commit: a rebuild takes it, and what it has in common is not fetched
    three = hub.add("lab/tiny", {"config.json": b"{}", "model.safetensors": WEIGHTS}, large=("model.safetensors",))
    assert v.cli("rebuild", "demo/one").returncode == 0
    assert until(lambda: three in v.demo("demo/one").body.decode(), 30), builds(v, "demo/one")
    assert len(hub.gets("/blob/" + sha256(WEIGHTS))) == 1
    # an earlier version finds its own
    first = v.cli("versions", "demo/one", "--json")
    assert first.returncode == 0
    versions = json.loads(first.stdout)
    versions = versions.get("versions", versions) if isinstance(versions, dict) else versions
    assert v.cli("rollback", "demo/one", versions[-1]["sha"][:12]).returncode == 0
    assert until(lambda: v.stage("demo/one") == "RUNNING", 30) and "model.safetensors" in v.demo("demo/one").body.decode()


def test_what_is_not_what_the_hub_says_is_refused(vitrine, hub):
    hub.add("lab/tiny", {"model.bin": WEIGHTS}, large=("model.bin",))
    hub.lies[sha256(WEIGHTS)] = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    v = vitrine(configuration(hub, "index = none\npreload_size = 4M\n"))
    r = submit(v, "demo/lie", TREE, "lab/tiny")
    assert r.returncode == 1 and "model.bin is not what the hub says: its SHA-256 is" in r.stderr, r.stderr + v.log[-2000:]
    assert v.stage("demo/lie") == "BUILD_ERROR" and not stored(v) and not parts(v)
    hub.lies[sha256(WEIGHTS)] = WEIGHTS + b"more"
    assert "model.bin" in submit(v, "demo/lie", TREE, "lab/tiny").stderr and not stored(v)
    r = submit(v, "demo/none", TREE, "lab/none")
    assert r.returncode == 1 and "the hub has no lab/none" in r.stderr
    r = submit(v, "demo/none", TREE, "lab/tiny other.bin")
    assert r.returncode == 1 and "the hub has no lab/tiny: other.bin" in r.stderr
    hub.add("lab/large", {"a.bin": WEIGHTS, "b.bin": OTHER, "c.bin": OTHER}, large=("a.bin", "b.bin", "c.bin"))
    hub.asked.clear()
    r = submit(v, "demo/large", TREE, "lab/large")
    assert r.returncode == 1 and "more than 4 MiB (build.preload_size)" in r.stderr and not hub.gets("/blob/"), r.stderr
    hub.lies.clear()
    assert "model.bin" in page(v, "demo/lie", TREE, "lab/tiny")


def test_a_token_is_the_proxys_and_bodies_stay_as_they_are(vitrine, hub):
    hub.add("lab/gated", {"config.json": CONFIG, "model.bin": OTHER}, large=("model.bin",))
    hub.token = "hf_of_the_house"
    v = vitrine(configuration(hub))
    r = submit(v, "demo/gated", TREE, "lab/gated")
    assert r.returncode == 1 and "needs a token of the operator's (build.hub_token_file)" in r.stderr
    v.stop()
    secret = os.path.join(v.folder, "token")
    with open(secret, "w") as f:
        f.write(hub.token + "\n")
    with open(v.config, "a") as f:
        f.write(f"hub_token_file = {secret}\n")
    v.start()
    read = "c = '%s'\nimport os\nreturn [open(os.path.join(f, 'config.json')).read() for f, _, n in os.walk(c) if 'config.json' in n][0]" % CACHE
    assert page(v, "demo/gated", read, "lab/gated") == CONFIG.decode()  # its link was not turned round
    assert hub.token not in v.log + builds(v, "demo/gated")


@pytest.mark.parametrize("token", ["", "hf_of_the_house"], ids=["tunnel", "token"])
def test_a_hub_by_tls_whose_large_files_lie_elsewhere(vitrine, tmp_path, monkeypatch, token):
    certificate = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=DNS:a.localhost", "-keyout", certificate[1], "-out", certificate[0]], check=True, stderr=subprocess.DEVNULL)
    os.chmod(tmp_path, 0o755)
    monkeypatch.setenv("PIP_CERT", certificate[0])  # whom the host trusts (runner/static/indexes.py)
    hub, other = FakeHub(certificate), FakeHub()
    hub.add("lab/tiny", {"model.bin": OTHER, "config.json": CONFIG}, large=("model.bin",))
    other.models, hub.elsewhere, hub.token = hub.models, other.url, token
    more = "index = none\n"
    if token:
        (tmp_path / "token").write_text(token)
        more += f"hub_token_file = {tmp_path}/token\n"
    v = vitrine(configuration(hub, more))
    r = submit(v, "demo/tls", TREE, "lab/tiny")
    assert r.returncode == 1 and f"asked for {other.host}, which this server does not let builds reach" in r.stderr, r.stderr + builds(v, "demo/tls") + v.log[-2000:]
    v.stop()
    with open(v.config, "a") as f:
        f.write(f"inside_hosts = {other.host}\n")
    v.start()
    assert "model.bin" in page(v, "demo/tls", TREE, "lab/tiny") and other.gets("/blob/") and not hub.gets("/blob/")
    hub.close()
    other.close()


def test_without_a_hub_it_is_said(vitrine):
    v = vitrine("[build]\nindex = none\nuv = none\n")
    r = submit(v, "demo/none", TREE, "lab/tiny")
    assert r.returncode == 1 and "no hub to fetch models from" in r.stderr and "[build] hub = https://huggingface.co" in r.stderr
    assert v.stage("demo/none") == "BUILD_ERROR" and "no hub" in builds(v, "demo/none")
    for entry, why in (("lab/tiny a,../b", "leads elsewhere"), ("a/b/c", "begins with no repository"), ("lab/tiny a main x", "is more than"),
                       ("[x]", "is no text")):
        r = submit(v, "demo/wrong", TREE, "lab/tiny", entry)
        assert r.returncode == 1 and "README.md:6: preload_from_hub:" in r.stderr and why in r.stderr, r.stderr


def test_killed_and_broken_off_it_goes_on_where_it_was(vitrine, hub):
    hub.add("lab/tiny", {"model.bin": WEIGHTS}, large=("model.bin",))
    v = vitrine(configuration(hub))
    hub.break_after = 1 << 20
    assert "model.bin" in page(v, "demo/broken", TREE, "lab/tiny")
    ranges = [r for _, _, r in hub.gets("/blob/")]
    assert len(ranges) == 2 and ranges[0] is None and 0 < int(ranges[1][6:-1]) < 2 << 20
    # cancelled, and killed with the runner, in the middle
    big = random.Random(3).randbytes(4 << 20)
    hub.add("lab/big", {"big.bin": big}, large=("big.bin",))
    hub.slow(0.05)
    folder = wheels.bundle(os.path.join(v.folder, "killed"), TREE, card="preload_from_hub:\n- lab/big\n")
    assert v.cli("deploy", folder, "demo/killed", "--no-wait").returncode == 0
    assert until(lambda: [p for p in parts(v) if os.path.getsize(p) > 200000])
    assert v.cli("cancel", "demo/killed").returncode == 0
    assert until(lambda: not v.named("vitrine-preload") and not [n for n in os.listdir(v.data + "/envs") if n.startswith(".")])
    assert sha256(big) not in stored(v) and parts(v)
    assert v.cli("rebuild", "demo/killed").returncode == 0
    before = os.path.getsize(parts(v)[0])
    assert until(lambda: parts(v) and os.path.getsize(parts(v)[0]) > before + 200000)
    os.kill(v.named("vitrine-runner")[0], signal.SIGKILL)
    hub.pause = None
    assert until(lambda: v.stage("demo/killed") == "RUNNING", 60), builds(v, "demo/killed") + v.log[-2000:]
    assert "big.bin" in v.demo("demo/killed").body.decode() and not parts(v)
    assert all(r for _, _, r in hub.gets("/blob/" + sha256(big))[1:]) and hub.sent < len(WEIGHTS) + len(big) + (2 << 20)
    assert not [n for n in os.listdir(v.data + "/envs") if n.startswith(".")]


def test_models_that_no_version_needs_go(vitrine, hub):
    hub.add("lab/tiny", {"model.bin": OTHER, "config.json": CONFIG}, large=("model.bin",))
    hub.add("lab/used", {"model.bin": WEIGHTS, "config.json": CONFIG}, large=("model.bin",))
    v = vitrine(configuration(hub))
    assert "model.bin" in page(v, "demo/gone", TREE, "lab/tiny")
    used = page(v, "demo/used", TREE, "lab/used")
    assert v.cli("delete", "demo/gone").returncode == 0
    v.stop()
    with contextlib.closing(sqlite3.connect(v.data + "/life.db")) as db, db:  # time goes by
        db.execute("UPDATE envs SET used_ms = 1")
    with open(v.config, "a") as f:
        f.write("env_keep = 1s\n")
    assert set(stored(v)) == {sha256(x) for x in (OTHER, WEIGHTS, CONFIG)}
    v.start()
    assert until(lambda: set(stored(v)) == {sha256(WEIGHTS), sha256(CONFIG)}, 30), v.log[-2000:]
    assert len([n for n in os.listdir(v.data + "/envs") if not n.startswith(".")]) == 1 and v.demo("demo/used").body.decode() == used
    assert life(v, "SELECT owner FROM envs") == [("demo",)]


def test_models_that_a_build_command_fetched_are_shared_too(vitrine, hub):
    v = vitrine(configuration(hub))
    command = "app_build_command: mkdir -p dist/m && head -c 3000000 /dev/zero > dist/m/model.onnx && echo hello > dist/index.html\napp_file: dist/index.html\n"
    for name in ("demo/made", "other/made"):
        folder = wheels.bundle(os.path.join(v.folder, name.replace("/", "-")), "return 1", sdk="static", card=command)
        assert v.cli("deploy", folder, name).returncode == 0, builds(v, name)
        assert v.demo(name).body == b"hello\n" and v.demo(name, "/m/model.onnx").body == bytes(3000000)
    assert stored(v)[sha256(bytes(3000000))].st_nlink == 3


def test_killed_at_any_moment_it_leaves_nothing_half(vitrine, hub):
    """The runner, the fetching program or its way out, at a random moment; the next build ends in order."""
    v = vitrine(configuration(hub))
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    print("seed", seed)
    hub.slow(0.01)
    for i in range(KILLS):
        data = random.Random(f"{seed} {i}").randbytes(1 << 20)
        commit = hub.add("lab/tiny", {"model.bin": data, "config.json": CONFIG}, large=("model.bin",))
        folder = wheels.bundle(os.path.join(v.folder, "any"), TREE, card="preload_from_hub:\n- lab/tiny\n", **{"i.txt": str(i)})
        if i == 0:
            assert v.cli("deploy", folder, "demo/any", "--no-wait").returncode == 0
        else:
            assert v.cli("rebuild", "demo/any").returncode == 0
        time.sleep(chance.uniform(0.05, 0.6))
        victim = chance.choice(["vitrine-runner", "vitrine-runner", "vitrine-preload", "vitrine-egress"])
        for pid in v.named(victim):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert until(lambda: v.stage("demo/any") not in ("BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING"), 60), v.status("demo/any")
        if v.stage("demo/any") != "RUNNING" or commit not in v.demo("demo/any").body.decode():
            until(lambda: v.cli("rebuild", "demo/any").returncode == 0)
            assert until(lambda: v.stage("demo/any") == "RUNNING" and commit in v.demo("demo/any").body.decode(), 60), f"{i} {victim} {v.status('demo/any')}" + builds(v, "demo/any")[-2000:]
        for name in stored(v):
            with open(f"{v.data}/models/sha256/{name}", "rb") as f:
                assert sha256(f.read()) == name
    assert until(lambda: not parts(v) and not [n for n in os.listdir(v.data + "/envs") if n.startswith(".")])
