"""A whole Vitrine for a test: `vitrine up` on a data folder of its own, and what one does with it."""
import contextlib
import hashlib
import http.client
import json
import os
import pwd
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("VITRINE_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "vitrine")
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))  # how much slower than usual the machine is
READY_S = 60 * PATIENCE
STOP_S = 20 * PATIENCE


def until(what, seconds=20, every=0.05):
    """The first true value of what(), or its last value after so many seconds; refused connections and
    half answers count as false."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = what()
        except (OSError, http.client.HTTPException, ValueError):
            value = None
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processes():
    """{(pid, start time): name} of every live process"""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            if fields[0] != "Z":
                with open(f"/proc/{pid}/cmdline") as f:
                    found[int(pid), fields[19]] = os.path.basename(f.read().split("\0")[0])
        except OSError:
            pass
    return found


def parent(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


def in_other_pid_namespace(pid):
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino != os.stat("/proc/self/ns/pid").st_ino
    except PermissionError:
        return os.stat(f"/proc/{pid}").st_uid >= 100000
    except OSError:
        return False


def our_ids():
    """(first, count) of the uids that processes of ours can have"""
    ids, names = [(os.getuid(), 1)], (pwd.getpwuid(os.getuid()).pw_name, str(os.getuid()))
    with contextlib.suppress(OSError), open("/etc/subuid") as f:
        ids += [(int(first), int(count)) for name, first, count in (line.split(":") for line in f) if name in names]
    return ids


def is_of_our_ids(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
        uid = int(f.read().split("Uid:")[1].split()[0])
        return any(first <= uid < first + count for first, count in our_ids())
    return False


def cgroups(data):
    """Those of the system whose data folder that is (named after it: runner/starter.c, cli/supervise.c)."""
    name = hashlib.sha256(data.encode()).hexdigest()[:16]
    return sorted(d for d, _, _ in os.walk("/sys/fs/cgroup") if name in d)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Vitrine:
    """The system of one test: made, started, stopped, looked after."""

    def __init__(self, config="", args=(), data=None):
        self.folder = tempfile.mkdtemp(prefix="e2e-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.data = data or os.path.join(self.folder, "data")
        self.tmp = os.path.join(self.folder, "tmp")  # TMPDIR of all its programs
        os.mkdir(self.tmp)
        self.port = free_port()
        self.site = f"localhost:{self.port}"
        self.config = os.path.join(self.folder, "vitrine.ini")
        with open(self.config, "w") as f:
            f.write(config)
        self.args = list(args)
        self.up = None
        self.lines = queue.Queue()
        self.said = []
        self.before = processes()

    # -- the system --
    @property
    def log(self):
        with open(os.path.join(self.folder, "up.log"), errors="replace") as f:
            return f.read()

    def _env(self, token=None):
        env = {**os.environ, "TMPDIR": self.tmp, "VITRINE_URL": f"http://{self.site}"}
        if token or os.path.exists(os.path.join(self.data, "admin.token")):
            env["VITRINE_TOKEN"] = token or self.token
        return env

    def popen(self, *args, **kw):
        return subprocess.Popen([PROGRAM, *args], cwd=self.folder, env=self._env(), text=True, **kw)

    def start(self, wait=True):
        with open(os.path.join(self.folder, "up.log"), "a") as log:
            self.up = self.popen("up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                                 "--config", self.config, *self.args,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.said = []
        threading.Thread(target=self._read, args=(self.up.stdout,), daemon=True).start()
        if wait:
            self.wait_ready()
        return self

    def _read(self, stdout):
        for line in stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def wait_ready(self, seconds=READY_S):
        end = time.monotonic() + seconds
        while True:
            line = self.lines.get(timeout=max(0.1, end - time.monotonic()))
            assert line is not None, "up has ended:\n" + self.log[-3000:]
            self.said.append(line)
            if line.startswith("ready:"):
                return line.split(None, 1)[1]

    def stop(self, sig=signal.SIGTERM):
        """Ends `up` in order; its exit status."""
        if self.up.poll() is None:
            self.up.send_signal(sig)
        code = self.up.wait(STOP_S)
        while self.lines.get(timeout=5) is not None:
            pass
        return code

    def kill_up(self):
        self.up.kill()
        self.up.wait()
        while self.lines.get(timeout=10) is not None:
            pass

    def _is_ours(self, pid):
        """By the environment: programs have our TMPDIR, demos our port. Of what cannot be read, our ids' counts as ours."""
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                env = f.read()
        except PermissionError:
            return is_of_our_ids(pid)
        except OSError:
            return False
        return f"TMPDIR={self.tmp}\0".encode() in env or f":{self.port}\0".encode() in env

    def new(self, want):
        return sorted(pid for (pid, at), name in processes().items()
                      if (pid, at) not in self.before and want(pid, name) and self._is_ours(pid))

    def named(self, name):
        return self.new(lambda _, n: n == name)

    def workers(self):
        """The demos' processes."""
        return self.new(lambda pid, n: not n.startswith("vitrine") and in_other_pid_namespace(pid))

    def leftovers(self):
        """What must not be there once `up` has ended."""
        left = {}
        ours = self.new(lambda pid, n: n.startswith("vitrine") or in_other_pid_namespace(pid))
        if ours:
            left["processes"] = [(p, name) for (p, _), name in processes().items() if p in ours]
        mounts = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/mountinfo") as f:
                    if self.data + "/" in f.read():
                        mounts.append(pid)
        if mounts:
            left["mounts"] = mounts
        if cgroups(self.data):
            left["cgroups"] = cgroups(self.data)[:5]
        run = os.path.join(self.data, "run")
        sockets = [os.path.join(d, n) for d, _, names in os.walk(run) for n in names
                   if n.endswith(".sock") or n.endswith(".exit")]
        if sockets:
            left["sockets"] = sockets
        if os.listdir(self.tmp):
            left["files"] = os.listdir(self.tmp)
        return left

    def end(self):
        """Stops what still runs, says what is left, removes the folder."""
        try:
            code = 0
            if self.up:
                code = self.stop() if self.up.poll() is None else 0
            left = until(lambda: not self.leftovers(), 3 * PATIENCE) or self.leftovers()
            assert code == 0, f"up has ended with {code}\n" + self.log[-3000:]
            assert left is True or not left, left
        finally:
            if self.up and self.up.poll() is None:
                self.up.kill()
            shutil.rmtree(self.folder, ignore_errors=True)
            if os.path.exists(self.folder):  # an ordinary user's: Spaces' files belong to subordinate ids
                subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", self.folder])

    # -- the command line --
    @property
    def token(self):
        with open(os.path.join(self.data, "admin.token")) as f:
            return f.read().strip()

    def cli(self, *args, timeout=120, token=None, **kw):
        try:
            return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=timeout,
                                  env=self._env(token), cwd=self.folder, **kw)
        except subprocess.TimeoutExpired as e:
            raise AssertionError(f"{e}\n{self.log[-4000:]}") from e

    def deploy(self, path, name, *args, ok=True):
        r = self.cli("deploy", path, name, "--json", *args)
        if ok:
            assert r.returncode == 0, r.stderr + self.log[-2000:]
            return json.loads(r.stdout)
        return r

    def status(self, name):
        r = self.cli("status", name, "--json")
        return json.loads(r.stdout) if r.returncode == 0 else {"stage": None, "error": r.stderr}

    def stage(self, name):
        return self.status(name)["stage"]

    # -- a visitor --
    def host(self, name):
        return f"{name.replace('/', '-')}.localhost:{self.port}"

    def http(self, method, path, host=None, body=None, headers=None, timeout=30):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, {"Host": host or self.site, **(headers or {})})
            r = c.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            c.close()

    def get(self, path="/", host=None, **kw):
        return self.http("GET", path, host, **kw)

    def demo(self, name, path="/", method="GET", **kw):
        return self.http(method, path, self.host(name), **kw)

    def ask(self, name, path):
        """The JSON of a page of the probe; ValueError for any answer but a 200."""
        a = self.demo(name, path)
        if a.status != 200:
            raise ValueError(f"{a.status} {a.body[:200]}")
        return a.json

    def api(self, method, path, **kw):
        headers = {"Authorization": f"Bearer {self.token}", **kw.pop("headers", {})}
        return self.http(method, path, headers=headers, **kw)

    # -- bundles --
    def bundle(self, name="bundle", **files):
        """A folder with these files; README.md comes from `card`."""
        folder = os.path.join(self.folder, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        card = files.pop("card", "title: Probe\nsdk: python\napp_file: app.py")
        files.setdefault("README.md", f"---\n{card}\n---\nA probe.\n")
        for path, content in files.items():
            full = os.path.join(folder, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb" if isinstance(content, bytes) else "w") as f:
                f.write(content)
            if path.endswith(".sh"):
                os.chmod(full, 0o755)
        return folder

    def probe(self, name="bundle", version="1", card=None, more=""):
        with open(os.path.join(os.path.dirname(__file__), "probe_app.py")) as f:
            app = f.read()
        app = app.replace('VERSION = "0"', f"VERSION = {version!r}")
        files = {"app.py": f"{more}\n{app}"}
        if card:
            files["card"] = card
        return self.bundle(name, **files)
