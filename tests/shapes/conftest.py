"""One system in which Spaces of the shapes that people publish are submitted, each as it is, and a real browser."""
import concurrent.futures
import inspect
import json
import os
import shutil
import subprocess
import sys

import pytest
from playwright.sync_api import sync_playwright

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from vitrine import BUILD, Vitrine, free_port  # noqa: E402

OWNER = "shapes"
LARGE = os.urandom(3 << 20)
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Shapes:
    """Each bundle by a door of its own: Hugging Face's client, git, the command line"""
    def __init__(self, names):
        self.up = v = Vitrine("[lifecycle]\nsleep_after = 30m\nstart_timeout = 120s\n[log]\naccess = json\n")
        self.tls_port = free_port()  # of HTTPS, with a certificate that signs itself, beside plain HTTP
        with open(v.config, "a") as f:
            f.write(f"[server]\npublic_url = http://{v.site}\n[tls]\nlisten = 127.0.0.1:{self.tls_port}\nredirect = false\n")
        v.start()
        assert v.cli("user", "add", OWNER).returncode == 0
        r = v.cli("token", "new", OWNER, "--role", "write")
        assert r.returncode == 0, r.stderr
        self.token = r.stdout.strip()
        self.env = {**os.environ, "HF_ENDPOINT": f"http://{v.site}", "HF_TOKEN": self.token, "HF_HOME": f"{v.folder}/hf", "HF_HUB_DISABLE_XET": "1",
                    "HOME": v.folder, "GIT_TERMINAL_PROMPT": "0"}
        doors = {"blocks": self.by_hf, "lfs": self.by_git}
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            # at last those that need what others have built by then, and need not install it side by side with them
            order = sorted(names, key=lambda name: (name in ("chat", "queue"), name))
            self.submitted = {name: pool.submit(doors.get(name, self.by_cli), name) for name in order}
            concurrent.futures.wait(self.submitted.values())

    def run(self, *argv, cwd=None):
        return subprocess.run(argv, env=self.env, cwd=cwd or self.up.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)

    def by_cli(self, name):
        return self.up.cli("deploy", f"{HERE}/bundles/{name}", f"{OWNER}/{name}", token=self.token, timeout=600)

    def by_hf(self, name):
        hf = os.path.join(BUILD, "venv/bin/hf")
        r = self.run(hf, "repos", "create", f"{OWNER}/{name}", "--type", "space", "--sdk", "gradio", "--exist-ok")
        if r.returncode:
            return r
        return self.run(hf, "upload", f"{OWNER}/{name}", f"{HERE}/bundles/{name}", ".", "--repo-type", "space")

    def by_git(self, name):
        folder, url = f"{self.up.folder}/{name}", f"http://{OWNER}:{self.token}@{self.up.site}/spaces/{OWNER}/{name}"
        r = self.up.http("POST", "/api/repos/create", body=json.dumps({"name": name, "organization": OWNER, "type": "space", "sdk": "static"}),
                         headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        assert r.status == 200, r.body
        r = self.run("git", "clone", "-q", url, folder)
        if r.returncode:
            return r
        shutil.copytree(f"{HERE}/bundles/{name}", folder, dirs_exist_ok=True)
        with open(f"{folder}/weights.bin", "wb") as f:
            f.write(LARGE)
        who = ["-c", "user.name=A submitter", "-c", "user.email=submitter@example.org"]
        for argv in (["lfs", "install", "--local"], ["add", "-A"], [*who, "commit", "-qm", "First"], ["push", "origin", "main"]):
            r = self.run("git", *argv, cwd=folder)
            if r.returncode:
                break
        return r

    def access_log(self):
        with open(f"{self.up.data}/access.log") as f:
            return [json.loads(line) for line in f.read().splitlines()]

    def host(self, name):
        """Of a Space that runs; its submission's own words where it does not"""
        r = self.submitted[name].result()
        assert r.returncode == 0, f"{r.stdout[-2000:]}\n{r.stderr[-3000:]}"
        self.up.cli("start", f"{OWNER}/{name}", timeout=600)
        status = self.up.status(f"{OWNER}/{name}")
        assert status["stage"] == "RUNNING", (status, self.up.cli("logs", f"{OWNER}/{name}", "--build").stdout[-3000:], self.up.cli("logs", f"{OWNER}/{name}").stdout[-3000:])
        return self.up.host(f"{OWNER}/{name}")


@pytest.fixture(scope="session")
def shapes(request):
    """Those that the tests which were picked need"""
    sources = "".join(inspect.getsource(i.function) for i in request.session.items)
    s = Shapes(n for n in os.listdir(f"{HERE}/bundles") if f'"{n}"' in sources)
    yield s
    s.up.end()


@pytest.fixture(scope="session")
def chromium():
    program = shutil.which("chromium")
    assert program, "no chromium on this machine: `make deps` installs it"
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=program, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    page = context.new_page()
    page.set_default_timeout(60000)
    yield page
    context.close()
