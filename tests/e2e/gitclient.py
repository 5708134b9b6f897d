"""A pusher: Debian's git and git-lfs with a configuration of their own."""
import os
import subprocess


class Git:
    def __init__(self, v, folder, token=None):
        self.v, self.folder, self.token = v, folder, token or v.token
        home = os.path.join(v.folder, "home")
        os.makedirs(home, exist_ok=True)
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LANG": "C.UTF-8",
                    "GIT_AUTHOR_NAME": "Amy", "GIT_AUTHOR_EMAIL": "amy@example.org", "GIT_COMMITTER_NAME": "Amy",
                    "GIT_COMMITTER_EMAIL": "amy@example.org"}

    def url(self, name, user="amy"):
        return f"http://{user}:{self.token}@{self.v.site}/spaces/{name}" if self.token else f"http://{self.v.site}/spaces/{name}"

    def run(self, *args, ok=True, cwd=None, env=None, timeout=120):
        r = subprocess.run(["git", *args], cwd=cwd or self.folder, env={**self.env, **(env or {})}, capture_output=True, text=True,
                           timeout=timeout, stdin=subprocess.DEVNULL)
        assert not ok or r.returncode == 0, f"git {args}: {r.stderr}\n{self.v.log[-1500:]}"
        return r

    def __call__(self, *args, **kw):
        return self.run(*args, **kw).stdout.strip()

    def write(self, path, data, executable=False):
        full = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        if executable:
            os.chmod(full, 0o755)

    def commit(self, message="A change"):
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", message)
        return self("rev-parse", "HEAD")


def clone(v, name, folder="clone", token=None, **kw):
    g = Git(v, os.path.join(v.folder, folder), token)
    g.run("clone", "-q", g.url(name), g.folder, cwd=v.folder, **kw)
    return g
