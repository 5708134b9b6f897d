"""The sockets that `vitrine up` listens on: several, of all kinds, and those that systemd hands over."""
import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile

from test_up import refused
from vitrine import PROGRAM, free_port


def answers(family, at, before=b""):
    with socket.socket(family) as s:
        s.settimeout(10)
        s.connect(at)
        s.sendall(before + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = b""
        while d := s.recv(4096):
            got += d
    return got.startswith(b"HTTP/1.1 200")


def test_several_sockets(vitrine, tmp_path):
    six, front, any6 = free_port(), free_port(), free_port()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)  # left behind by somebody
    v = vitrine(f"[server]\nalso_listen = [::1]:{six}, unix:{path} mode=0640 owner={os.getuid()}, 127.0.0.1:{front} proxy, "
                f"[::]:{any6}\nallow_insecure_listen = true\ntrusted_proxies = 127.0.0.1\n")
    assert v.get("/healthz").status == 200
    assert answers(socket.AF_INET6, ("::1", six))
    assert answers(socket.AF_UNIX, path)
    assert answers(socket.AF_INET, ("127.0.0.1", front), b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
    assert answers(socket.AF_INET6, ("::1", any6)) and answers(socket.AF_INET, ("127.0.0.1", any6))
    st = os.stat(path)
    assert stat.S_ISSOCK(st.st_mode) and st.st_mode & 0o777 == 0o640
    said = refused(v, "--data", str(tmp_path / "d"), "--listen", f"127.0.0.1:{free_port()}",
                   config=f"[server]\nalso_listen = unix:{path}\n")
    assert path in said and "somebody listens" in said
    assert v.stop() == 0
    assert not os.path.exists(path)


def test_check_looks_at_each(vitrine, tmp_path):
    v = vitrine(start=False)
    # not in tmp_path: the path of a socket has at most 107 characters
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as s:
        free, path = free_port(), os.path.join(folder, "s")
        taken = s.getsockname()[1]
        config = pathlib.Path(folder, "c.ini")
        config.write_text(f"[server]\nlisten = 127.0.0.1:{free_port()}\nalso_listen = 127.0.0.1:{free}, unix:{path}, 127.0.0.1:{taken}, unix:{config}, fd:web\n")
        rows = json.loads(v.cli("check", "--config", str(config), "--data", str(tmp_path / "d"), "--json").stdout)["checks"]
        assert not os.path.exists(path) and config.read_text()
    said = [(c["name"], c["state"], c["detail"]) for c in rows if c["name"] in ("port", "socket")]
    assert [s[:2] for s in said] == [("port", "ok"), ("port", "ok"), ("socket", "ok"), ("port", "weak"), ("socket", "weak"), ("socket", "ok")], said
    for row, word in zip(said[1:], (f"127.0.0.1:{free} is free", f"{path} is free", f"port {taken} is in use", "no socket", "web")):
        assert word in row[2]


def test_four_and_six_on_one_port(vitrine):
    port = free_port()
    v = vitrine(f"[server]\nalso_listen = 0.0.0.0:{port}, [::]:{port}\nallow_insecure_listen = true\n")
    assert answers(socket.AF_INET6, ("::1", port)) and answers(socket.AF_INET, ("127.0.0.1", port))
    assert v.get("/healthz").status == 200


def test_what_is_refused(vitrine, tmp_path):
    v = vitrine(start=False)

    def says(config, *words):
        said = refused(v, config="[server]\n" + config + "\n")
        assert all(w in said for w in words), said

    says("also_listen = 0.0.0.0:1234", "0.0.0.0:1234", "allow_insecure_listen")
    says("also_listen = 127.0.0.1:1234 proxy", "trusted_proxies")
    says("also_listen = fd:web", "FileDescriptorName=web")
    says("also_listen = 192.0.2.1:1234\nallow_insecure_listen = yes", "no such address")
    says("trusted_proxies = example.org", "trusted_proxies", "example.org")
    says("trusted_proxies = 10.0.0.1:80", "trusted_proxies", "port")
    says("proxy_header = x-real-ip", "proxy_header", "x-real-ip")
    path = tmp_path / "file"
    path.write_text("mine")
    says(f"also_listen = unix:{path}", str(path), "no socket")
    assert path.read_text() == "mine"
    says(f"also_listen = unix:{tmp_path}/s owner=nobody-of-this-name", "nobody-of-this-name")
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        says(f"also_listen = 127.0.0.1:{port}", f"port {port} is in use",
             f"(process {os.getpid()})" if os.getuid() == 0 else "")


ACTIVATE = """
import os, sys
names, n = sys.argv[1], int(sys.argv[2])
os.environ.update(LISTEN_PID=sys.argv[3].replace("self", str(os.getpid())), LISTEN_FDS=str(n), LISTEN_FDNAMES=names)
os.execv(sys.argv[4], sys.argv[4:])
"""


def activated(v, names, socks, pid="self", config=""):
    """The command of `up` with these sockets as descriptors from 3 on, as systemd starts it."""
    argv = [sys.executable, "-c", ACTIVATE, names, str(len(socks)), pid, PROGRAM, "up", "--data", v.data, "--listen",
            f"127.0.0.1:{v.port}", "--config", v.config]
    with open(v.config, "w") as f:
        f.write(config)
    wanted = [s.fileno() for s in socks]

    def place():
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(wanted)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
            os.close(fd)

    return subprocess.Popen(argv, cwd=v.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            close_fds=False, preexec_fn=place)


def ready(p):
    for line in p.stdout:
        if line.startswith("ready:"):
            return
    raise AssertionError(p.stderr.read())


def end(p):
    p.terminate()
    assert p.wait(20) == 0, p.stderr.read()


def test_sockets_of_systemd(vitrine, tmp_path):
    v = vitrine(start=False)
    path = str(tmp_path / "s")
    with socket.create_server(("127.0.0.1", v.port)) as main, socket.create_server(("127.0.0.1", 0)) as front, \
            socket.socket(socket.AF_UNIX) as un, socket.create_server(("127.0.0.1", 0)) as more:
        un.bind(path)
        un.listen(8)
        # it has a connection already, before anybody serves it
        early = socket.create_connection(("127.0.0.1", v.port))
        p = activated(v, "http:front:un", [main, front, un, more],
                      config="[server]\nalso_listen = fd:front proxy\ntrusted_proxies = 127.0.0.1\n")
        try:
            ready(p)
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert early.recv(100).startswith(b"HTTP/1.1 200")
            assert answers(socket.AF_UNIX, path) and answers(socket.AF_INET, more.getsockname())
            assert answers(socket.AF_INET, front.getsockname(), b"PROXY UNKNOWN\r\n")
            end(p)
        finally:
            p.kill()
            early.close()
        assert os.path.exists(path)  # it is systemd's


def test_sockets_that_are_for_somebody_else(vitrine):
    v = vitrine(start=False)
    with socket.create_server(("127.0.0.1", 0)) as other:
        p = activated(v, "http", [other], pid="1")
        try:
            ready(p)
            other.settimeout(0.2)
            with socket.create_connection(other.getsockname()) as c:
                c.settimeout(0.5)
                c.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                try:
                    assert not c.recv(1)
                except socket.timeout:
                    pass
            end(p)
        finally:
            p.kill()


def test_a_descriptor_that_does_not_listen(vitrine):
    v = vitrine(start=False)
    with socket.socket() as s:
        p = activated(v, "http", [s])
        out, said = p.communicate(timeout=20)
        assert p.returncode == 1 and "ListenStream=" in said, said
