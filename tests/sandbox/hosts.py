"""Hosts in network namespaces of a test's own: "here", where vitrine-sandbox is started, and "world", which has public,
private and metadata addresses. Nothing leads out of them.

hosts.py serve NAME ADDRESS:PORT...: answers there, on TCP and UDP, with NAME; what comes on port 53 is a DNS query, and
everything is at OUTSIDE; 9001 takes bytes and 9002 gives some."""
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading

OUTSIDE, OUTSIDE6 = "11.22.33.44", "2a00:5678::44"  # nobody's here
MIRROR = "192.168.7.7"
HERE, HERE6 = "11.22.33.1", "2a00:1234::1"
PRIVATE = ("10.9.8.7", "172.16.5.4", "100.64.3.2", "169.254.169.254", "198.18.0.9", "192.88.99.1")
PRIVATE6 = ("fd00:ec2::254", "fd12::7", "2002:a09:807::1", "64:ff9b::a09:807")
DENIED = "11.99.0.9"
PORT = 8000


def _sink(c):
    while c.recv(65536):
        pass
    c.sendall(b".")
    c.close()


def _source(c):
    try:
        c.sendall(bytes(4 << 20))
    except OSError:
        pass
    c.close()


BULK = {9001: _sink, 9002: _source}


def _serve(name, places):
    poll, socks = select.poll(), {}
    for place in places:
        address, port = place.rsplit(":", 1)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, int(port)))
            if kind == socket.SOCK_STREAM:
                s.listen(64)
            socks[s.fileno()] = s
            poll.register(s, select.POLLIN)
    print("ready", flush=True)
    conns = []
    while True:
        for fd, _ in poll.poll():
            s = socks[fd]
            if s.type == socket.SOCK_STREAM:
                c, _ = s.accept()
                c.settimeout(10)
                if s.getsockname()[1] in BULK:
                    threading.Thread(target=BULK[s.getsockname()[1]], args=(c,), daemon=True).start()
                    continue
                c.sendall(name.encode())
                conns.append(c)  # stays open: connections are counted
                conns = conns[-200:]
                continue
            data, peer = s.recvfrom(2048)
            if s.getsockname()[1] != 53:
                s.sendto(name.encode(), peer)
                continue
            end = data.index(b"\0", 12) + 5
            is_a = data[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(OUTSIDE) if is_a else b""
            s.sendto(data[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, int(is_a), 0, 0) + data[12:end] + answer, peer)


class Hosts:
    def __init__(self, map_options):
        """map_options: of unshare, for an ordinary user's range of ids"""
        self.resolv = tempfile.NamedTemporaryFile("w", dir="/var/tmp", prefix="vitrine-sandbox-test.")
        self.resolv.write("nameserver 127.0.0.53\n")
        self.resolv.flush()
        os.chmod(self.resolv.name, 0o644)
        self.processes = []
        script = f"mount --bind {self.resolv.name} $(readlink -f /etc/resolv.conf) && ip link set lo up && echo up && exec cat"
        self.here = self._start(["unshare", *map_options, "-n", "-m", "sh", "-c", script])
        self.world = self._start(self.inside("unshare", "-n", "sh", "-c", "ip link set lo up; echo up; exec cat"))
        extra = " ".join(f"ip addr add {a}/32 dev lo;" for a in (OUTSIDE, MIRROR, DENIED, *PRIVATE))
        extra6 = " ".join(f"ip addr add {a}/128 dev lo nodad;" for a in (OUTSIDE6, *PRIVATE6))
        self.ip(f"ip link add v0 type veth peer name v1 netns {self.world.pid}")
        self.ip(f"ip addr add {HERE}/30 dev v0; ip addr add {HERE6}/64 dev v0 nodad; ip link set v0 up;"
                "ip addr add 172.20.0.1/32 dev lo")
        self.ip("ip addr add 11.22.33.2/30 dev v1; ip addr add 2a00:1234::2/64 dev v1 nodad; ip link set v1 up;" +
                extra + extra6, self.world)
        self.ip("ip route add default via 11.22.33.2; ip -6 route add default via 2a00:1234::2")
        every = [f"{a}:{PORT}" for a in (OUTSIDE, OUTSIDE6, MIRROR, DENIED, *PRIVATE, *PRIVATE6)]
        me = os.path.abspath(__file__)
        self._start(self.enter(self.world) + [sys.executable, me, "serve", "world", *every, f"{MIRROR}:8001",
                                                 f"{OUTSIDE}:9001", f"{OUTSIDE}:9002"])
        self._start(self.inside(sys.executable, me, "serve", "here", "127.0.0.53:53", f"0.0.0.0:{PORT}", f"{HERE6}:{PORT}",
                                f"::1:{PORT}"))

    def _start(self, argv):
        p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.processes.append(p)
        assert p.stdout.readline().strip() in ("up", "ready"), argv
        return p

    def enter(self, p):
        user = [] if os.getuid() == 0 else ["-U", "--preserve-credentials"]
        return ["nsenter", "-t", str(p.pid), *user, "-n", "-m", "--"]

    def inside(self, *argv):
        return self.enter(self.here) + list(argv)

    def ip(self, script, where=None):
        subprocess.run(self.enter(where or self.here) + ["sh", "-ec", script], check=True,
                       env={**os.environ, "PATH": "/usr/sbin:/sbin:" + os.environ["PATH"]})

    def close(self):
        for p in reversed(self.processes):
            p.kill()
            p.wait()
            p.stdin.close()
            p.stdout.close()
        self.resolv.close()


if __name__ == "__main__":
    _serve(sys.argv[2], sys.argv[3:])
