"""The proxies that the cases are run against: each knows a demo of its own for every case."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/gateway"))
import harness  # noqa: E402
from origin import Origin  # noqa: E402


class Proxy:
    def __init__(self, cases):
        self.origins = {c.name: Origin(c.answers) for c in cases}

    def close(self):
        for o in self.origins.values():
            o.close()


class Direct(Proxy):
    """None at all"""
    name = "direct"

    def at(self, case):
        return self.origins[case.name].port, "demo.localhost"


class Ours(Proxy):
    name = "vitrine"

    def __init__(self, cases):
        super().__init__(cases)
        self.gateway = harness.Gateway(log__level="error")
        self.labels = {}
        for i, c in enumerate(cases):
            self.labels[c.name] = label = f"case-{i}"
            w = harness.Worker(i + 1, self.origins[c.name])
            self.gateway.workers.append(w)
            self.gateway.spaces[label] = {"space_id": i + 1, "space": f"case/{i}", "stage": "RUNNING", "wakes": 1, "worker": w}

    def at(self, case):
        return self.gateway.port, harness.host(self.labels[case.name])

    def close(self):
        self.gateway.close()
        super().close()


class Peer(Proxy):
    """A proxy of Debian's with a listening port for each case"""

    def __init__(self, cases):
        super().__init__(cases)
        self.folder = tempfile.mkdtemp(prefix="conformance-")
        os.chmod(self.folder, 0o777)
        ports = harness.free_ports(len(cases))
        self.ports = {c.name: p for c, p in zip(cases, ports)}
        path = os.path.join(self.folder, "conf")
        with open(path, "w") as f:
            f.write(self.HEAD.format(dir=self.folder) + "".join(
                self.EACH.format(i=i, port=self.ports[c.name], origin=self.origins[c.name].port) for i, c in enumerate(cases)) + self.FOOT)
        self.process = subprocess.Popen(self.argv(path), stderr=subprocess.DEVNULL)
        harness.until_open(ports[-1])

    def at(self, case):
        return self.ports[case.name], "demo.localhost"

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        super().close()


class Nginx(Peer):
    name = "nginx"
    HEAD = """daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
  proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
  proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
  proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Proto $scheme;
"""
    EACH = """  upstream demo{i} {{ server 127.0.0.1:{origin}; keepalive 8; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://demo{i}; }} }}
"""
    FOOT = "}\n"

    def argv(self, path):
        return ["nginx", "-c", path, "-p", self.folder]


class Haproxy(Peer):
    name = "haproxy"
    HEAD = """global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout http-request 10s
  option forwardfor
"""
    EACH = """listen case{i}
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header X-Forwarded-Proto http
  server demo 127.0.0.1:{origin}
"""
    FOOT = ""

    def argv(self, path):
        return ["haproxy", "-db", "-q", "-f", path]


PEERS = [Nginx, Haproxy]
