"""Hugging Face's own clients, as they are installed in BUILD/hub (make hub-clients), against a running Vitrine."""
import json
import os
import subprocess


from vitrine import BUILD, ROOT

CLIENTS = ["current", "yearold"]
BEGIN = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from huggingface_hub import *
from huggingface_hub.errors import *
api = HfApi()
def say(*what): print(json.dumps(what if len(what) > 1 else what[0], default=str))
"""


def install():
    """Where make did not: `make test` does."""
    if not all(os.path.exists(f"{BUILD}/hub/{c}/.done") for c in CLIENTS):
        subprocess.run(["make", "-s", "hub-clients", f"BUILD={BUILD}"], cwd=ROOT, check=True)


class Hub:
    def __init__(self, vitrine, client, token):
        self.vitrine, self.folder, self.token = vitrine, f"{BUILD}/hub/{client}", token

    def env(self, **more):
        home = os.path.join(self.vitrine.folder, "hf")
        return {"PATH": os.environ["PATH"], "HOME": home, "HF_HOME": home, "PYTHONPATH": self.folder, "HF_ENDPOINT": f"http://{self.vitrine.site}",
                "HF_TOKEN": self.token, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_COLOR": "1", "LANG": "C.UTF-8", **more}

    def run(self, *argv, timeout=120, **more):
        return subprocess.run(["/usr/bin/python3", *argv], env=self.env(**more), cwd=self.vitrine.folder, capture_output=True, text=True, timeout=timeout)

    def hf(self, *args, **kw):
        """The command `hf`."""
        return self.run("-c", "import sys; from huggingface_hub.cli.hf import main; sys.argv[0] = 'hf'; main()", *args, **kw)

    def script(self, code, *args, **kw):
        """What the script says, a JSON document a line; it has `api` and `say`."""
        r = self.run("-c", BEGIN + code, *args, **kw)
        assert r.returncode == 0, f"{r.stdout}\n{r.stderr[-4000:]}\n{self.vitrine.log[-2000:]}"
        return [json.loads(line) for line in r.stdout.splitlines()]


def new_user(vitrine, name, role="write"):
    """A token of that user, who is made where they are not there."""
    vitrine.cli("user", "add", name)
    made = vitrine.cli("token", "new", name, "--role", role)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


