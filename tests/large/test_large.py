"""One file of 2 GiB by Hugging Face's own clients, up and down again: minutes and gigabytes, so on demand (make test-large)."""
import hashlib
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from hub import Hub, install, new_user  # noqa: E402
from vitrine import Vitrine, until  # noqa: E402

SIZE = int(os.environ.get("LARGE_BYTES", 2 << 30))
WAIT_S = 3600


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@pytest.fixture(scope="module")
def systems():
    """By LFS, as it is by default, and in the commit itself"""
    install()
    made = {"lfs": Vitrine(), "regular": Vitrine("[upload]\nmax_regular = 3G\njob_timeout = 20m\n")}
    for v in made.values():
        v.start()
    yield made
    for v in made.values():
        v.end()


@pytest.fixture(scope="module")
def folder(systems):
    path = systems["lfs"].bundle("large", card="title: Large\nsdk: static", **{"index.html": "large"})
    with open(path + "/model.bin", "wb") as f:
        subprocess.run(["head", "-c", str(SIZE), "/dev/urandom"], stdout=f, check=True)
    return path


def peak_mib(v, program):
    with open(f"/proc/{v.named(program)[0]}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) >> 10


@pytest.mark.parametrize("client", ["current", "yearold"])
@pytest.mark.parametrize("way", ["lfs", "regular"])
def test_up_and_down(systems, folder, capsys, client, way):
    v = systems[way]
    hub, name, wanted = Hub(v, client, new_user(v, client)), f"{client}/large", sha256(folder + "/model.bin")
    began = time.monotonic()
    r = hub.hf("upload", name, folder, "--repo-type", "space", timeout=WAIT_S, HF_HUB_DISABLE_XET="1")
    up = time.monotonic() - began
    assert r.returncode == 0, r.stderr[-3000:]
    # the Space serves it
    assert until(lambda: v.stage(name) == "RUNNING", 120)
    tail = v.demo(name, "/model.bin", headers={"Range": f"bytes={SIZE - 1000}-"})
    with open(folder + "/model.bin", "rb") as f:
        f.seek(SIZE - 1000)
        assert (tail.status, tail.body) == (206, f.read())
    began = time.monotonic()
    size, lfs, path = hub.script("""
i = api.space_info(sys.argv[1], files_metadata=True)
f, = [f for f in i.siblings if f.rfilename == "model.bin"]
say(f.size)
say(bool(f.lfs))
say(api.hf_hub_download(sys.argv[1], "model.bin", repo_type="space"))
""", name, timeout=WAIT_S, HF_HUB_DISABLE_XET="1")
    down = time.monotonic() - began
    assert size == SIZE and lfs == (way == "lfs") and sha256(path) == wanted
    os.unlink(os.path.realpath(path))
    # the same once more sends nothing
    began = time.monotonic()
    r = hub.hf("upload", name, folder, "--repo-type", "space", timeout=WAIT_S, HF_HUB_DISABLE_XET="1")
    assert r.returncode == 0, r.stderr[-3000:]
    with capsys.disabled():
        print(f"\n{client}, {way}: {SIZE >> 20} MiB up in {up:.0f} s, down in {down:.0f} s, again in {time.monotonic() - began:.0f} s; "
              f"at most {peak_mib(v, 'vitrine-webui')} MiB in webui, {peak_mib(v, 'vitrine-gateway')} MiB in the gateway")
    assert v.cli("delete", name).returncode == 0
