"""CPU time that a proxied request costs: ours beside nginx, haproxy and caddy, and beside the floor, a relay that parses
nothing. The proxy has CPU 0 (with --threads N: the first N), origin and load have the others; keep-alive to the origin, and to
the visitor where a row does not say otherwise, X-Forwarded-* set, no logs. CPU is the sum of /proc/PID/task/*/schedstat over requests
counted at the origin; rounds alternate in order (ABBA), every two with new processes; medians. p99 is the median of those of windows of 100 ms, and above a
peer's where their 95% intervals are apart: a shared machine stalls once or twice a second. A ratio is to the better of nginx and
haproxy. The benches gateway-NAME write $VITRINE_BUILD/bench/gateway-NAME.json: each row, which of them are over their limit, and as
the bench's one figure the row that it names (where it names none, the one with a limit and the worst ratio)."""
import argparse
import glob
import json
import math
import mmap
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.setdefault("VITRINE_BUILD", os.path.join(ROOT, "build")))
sys.path.insert(0, os.path.join(ROOT, "tests/gateway"))
import certs  # noqa: E402
import harness  # noqa: E402

HOST = "demo-bench.localhost"
ROUNDS_EACH = 2  # with the same processes: where the memory of one happens to lie is worth two percent


def tool(name, libs=()):
    """The path of a program of this folder, compiled; in the virtual machine it has been"""
    out = os.path.join(BUILD, "bench", name)
    if "IN_VM" in os.environ:
        return out
    os.makedirs(os.path.dirname(out), exist_ok=True)
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-o", out, os.path.join(HERE, name + ".c"), *libs], check=True)
    return out


def children(pid):
    return [int(x) for x in open(f"/proc/{pid}/task/{pid}/children").read().split()]


class Proxy:
    """pids: whose CPU time counts. port, tls_port: where it listens."""

    def __init__(self, name, port, tls_port, pids, stop):
        self.name, self.port, self.tls_port, self.pids, self.stop = name, port, tls_port, pids, stop

    def cpu_ns(self):
        return sum(int(open(f).read().split()[0]) for p in self.pids for f in glob.glob(f"/proc/{p}/task/*/schedstat"))

    def pin(self, cpus):
        for pid in self.pids:
            for t in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(t), cpus)


class Setting:
    """What the proxies stand in front of: the origin's port, a folder for their files with a certificate, how many threads
    they have, how many connections they may hold."""

    def __init__(self, folder, origin, threads=1, connections=4096):
        self.folder, self.origin, self.threads, self.connections = folder, origin, threads, connections
        self.pair = certs.Pair("localhost", "*.localhost", HOST)
        self.pair.write(folder)
        with open(os.path.join(folder, "both.pem"), "w") as both:
            for name in ("fullchain.pem", "privkey.pem"):
                both.write(open(os.path.join(folder, name)).read())
        os.chmod(folder, 0o777)


def ended(process, how):
    how()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


def start_relay(setting):
    port = harness.free_port()
    p = subprocess.Popen([tool("http_tools"), "relay", str(port), str(setting.origin)])
    harness.until_open(port)
    return Proxy("relay", port, None, [p.pid], lambda: ended(p, p.kill))


# Bodies are passed on as they come, by all of them; buffers as large as ours (its own are smaller, and cost more).
NGINX = """daemon off; worker_processes {threads}; pid {dir}/pid; error_log {dir}/error.log crit;
events {{ worker_connections {connections}; }}
http {{
  access_log off; keepalive_requests 1000000000; tcp_nodelay on; client_max_body_size 0;
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream demo {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096;
    ssl_certificate {dir}/fullchain.pem; ssl_certificate_key {dir}/privkey.pem; ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://demo; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_read_timeout 600s;
      proxy_request_buffering off; {buffers}
    }}
  }}
}}
"""
BUFFERS = "client_body_buffer_size 32k; proxy_buffers 8 32k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;"


def start_nginx(setting, buffers=BUFFERS):
    port, tls = harness.free_port(), harness.free_port()
    path = os.path.join(setting.folder, f"nginx-{port}.conf")
    open(path, "w").write(NGINX.format(dir=setting.folder, origin=setting.origin, port=port, tls=tls, threads=setting.threads,
                                       connections=3 * setting.connections, buffers=buffers))
    p = subprocess.Popen(["nginx", "-c", path, "-p", setting.folder], stderr=subprocess.DEVNULL)
    harness.until_open(port)
    harness.until(lambda: len(children(p.pid)) >= setting.threads)  # which it starts once it listens
    return Proxy("nginx", port, tls, [p.pid] + children(p.pid), lambda: ended(p, p.terminate))


HAPROXY = """global
  nbthread {threads}
  maxconn {connections}
  no strict-limits
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
frontend visitors
  bind 127.0.0.1:{port} backlog 4096
  bind 127.0.0.1:{tls} ssl crt {dir}/both.pem alpn http/1.1 backlog 4096
  option forwardfor
  {more}
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
  default_backend demo
backend demo
  http-reuse always
  server demo 127.0.0.1:{origin} pool-max-conn 64
"""


def start_haproxy(setting, more=""):
    port, tls = harness.free_port(), harness.free_port()
    path = os.path.join(setting.folder, f"haproxy-{port}.cfg")
    open(path, "w").write(HAPROXY.format(dir=setting.folder, origin=setting.origin, port=port, tls=tls, threads=setting.threads,
                                         connections=setting.connections, more=more))
    p = subprocess.Popen(["haproxy", "-db", "-q", "-f", path], stderr=subprocess.DEVNULL)
    harness.until_open(port)
    return Proxy("haproxy", port, tls, [p.pid] + children(p.pid), lambda: ended(p, p.terminate))


CADDY = """{{
 admin off
 auto_https off
 log {{
  output discard
 }}
 servers {{
  protocols h1
 }}
}}
http://:{port} {{
 bind 127.0.0.1
 reverse_proxy 127.0.0.1:{origin}
}}
https://:{tls} {{
 bind 127.0.0.1
 tls {dir}/fullchain.pem {dir}/privkey.pem
 reverse_proxy 127.0.0.1:{origin}
}}
"""


def start_caddy(setting):
    port, tls = harness.free_port(), harness.free_port()
    path = os.path.join(setting.folder, f"Caddyfile-{port}")
    open(path, "w").write(CADDY.format(dir=setting.folder, port=port, tls=tls, origin=setting.origin))
    p = subprocess.Popen(["caddy", "run", "--config", path, "--adapter", "caddyfile"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         env={**os.environ, "HOME": setting.folder, "XDG_DATA_HOME": setting.folder, "XDG_CONFIG_HOME": setting.folder,
                              "GOMAXPROCS": str(setting.threads)})
    try:
        harness.until_open(port)
    except AssertionError:
        p.kill()
        raise
    return Proxy("caddy", port, tls, [p.pid], lambda: ended(p, p.terminate))


class Origin:
    """As harness.Worker wants a demo"""

    def __init__(self, port):
        self.port, self.errors = port, []

    def close(self):
        pass


def options(setting):
    """`threads` is an option of a gateway that has some."""
    text = open(os.path.join(ROOT, "common/conf_options.h")).read()
    return {"gateway__threads": setting.threads} if "X(gateway, threads," in text else {}


def start_ours(setting, others=None, **conf):
    """others: {label: port} of more demos"""
    g = harness.Gateway(tls=[setting.pair], log__level="error", tls__redirect="no", gateway__max_connections=100000,
                        gateway__max_per_address=100000, **options(setting), **conf)
    for i, (label, port) in enumerate({"demo-bench": setting.origin, **(others or {})}.items(), 1):
        w = harness.Worker(i, Origin(port))
        g.workers.append(w)
        g.spaces[label] = {"space_id": i, "space": label.replace("-", "/"), "stage": "RUNNING", "wakes": 1, "worker": w}
    return Proxy("ours", g.port, g.tls_port, [g.process.pid], g.close)


class Row:
    """One measured thing: RATE a second (0: saturation) on so many connections; args are http_load's. limit: of the ratio."""

    def __init__(self, label, rate=0, limit=None, connections=32, bytes=100, args=()):
        self.label, self.rate, self.limit, self.connections, self.bytes, self.args = label, rate, limit, connections, bytes, list(args)
        self.tls = "tls" in self.args


class Bench:
    """An origin, proxies before it, and what was found."""

    def __init__(self, a, peers):
        cpus = sorted(os.sched_getaffinity(0))
        if "IN_VM" in os.environ and len(cpus) == 1:  # whose time is its instructions
            cpus = cpus * (a.threads + 1)
        if len(cpus) < a.threads + 1:
            sys.exit(f"this bench needs {a.threads + 1} CPUs")
        self.a, self.proxies, self.processes = a, [], []
        self.folder = tempfile.mkdtemp(prefix="bench-gateway-")
        self.load = tool("http_load", ["-lssl", "-lcrypto"])
        try:
            counter, port = os.path.join(self.folder, "count"), harness.free_port()
            self.processes.append(subprocess.Popen([tool("http_tools"), "origin", str(port), counter]))
            harness.until_open(port)
            self.counter = mmap.mmap(os.open(counter, os.O_RDONLY), 4096, prot=mmap.PROT_READ)
            self.setting, self.peers = Setting(self.folder, port, a.threads), peers
            self.proxy_cpus, self.other_cpus = set(cpus[:a.threads]), set(cpus[a.threads:])
            for p in [os.getpid()] + [p.pid for p in self.processes]:
                os.sched_setaffinity(p, self.other_cpus)
            self.start_proxies()
        except BaseException:
            self.close()
            raise

    def start_proxies(self):
        """The peers; what a bench has put into `proxies` itself runs to the end"""
        for start in self.peers:
            p = start(self.setting)
            self.proxies.append(p)
            p.pin(self.proxy_cpus)

    def stop_proxies(self):
        while self.proxies:
            self.proxies.pop().stop()

    def close(self):
        self.stop_proxies()
        for p in self.processes:
            p.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def count(self):
        return struct.unpack("Q", self.counter[:8])[0]

    def measure(self, p, row, ms):
        """(CPU us a request, requests a second, [p99 us of a window])"""
        load = subprocess.Popen([self.load, str(p.tls_port if row.tls else p.port), HOST, str(row.connections), str(row.rate),
                                 str(ms), str(row.bytes), *row.args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert load.stdout.readline() == "ready\n"
            before_n, before_cpu = self.count(), p.cpu_ns()
            out = load.communicate("go\n", ms / 1000 + 30)[0].split()
        finally:
            load.kill()
            load.wait()
        if load.returncode != 0 or not out:
            sys.exit(f"{p.name}, {row.label}: the load ended with {load.returncode}")
        n = self.count() - before_n
        return (p.cpu_ns() - before_cpu) / 1000 / max(n, 1), n / ms * 1000, [int(x) for x in out[2:]]

    def warm(self, rows):
        """Each is known to work then"""
        for p in self.proxies:
            for r in rows:
                if p.tls_port or not r.tls:
                    self.measure(p, Row(r.label, r.rate or 500, connections=r.connections, bytes=r.bytes, args=r.args), 100)

    def run(self, rows):
        """{(proxy's name, row's label): [what measure() found]}"""
        found = {(p.name, r.label): [] for p in self.proxies for r in rows}
        self.warm(rows)
        for i in range(self.a.rounds):
            if i and i % ROUNDS_EACH == 0 and self.peers:
                self.stop_proxies()
                self.start_proxies()
                self.warm(rows)
            for r in rows:
                for p in (self.proxies if i % 2 == 0 else self.proxies[::-1]):
                    # caddy is shown beside, and decides nothing
                    if not (r.tls and not p.tls_port) and not (p.name == "caddy" and i % 3):
                        found[p.name, r.label].append(self.measure(p, r, self.a.ms))
        return found


def arguments(doc):
    a = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "10")))
    a.add_argument("--ms", type=int, default=int(os.environ.get("MS", "400")), help="of one measurement")
    a.add_argument("--threads", type=int, default=int(os.environ.get("THREADS", "1")), help="of each proxy; the first CPUs are theirs")
    a.add_argument("--rows", help="only those whose label has this in it")
    return a


def over(row):
    """The limit is for the median of a bench whose rows differ by a percent or two from run to run."""
    return row["limit"] is not None and row["ratio"] > row["limit"]


def interval(values):
    """(median, least, most): where the median is with a probability of 95%, by the order of the values"""
    v, off = sorted(values), 0.98 * len(values) ** 0.5
    return statistics.median(v), v[max(0, math.floor(len(v) / 2 - off))], v[min(len(v) - 1, math.ceil(len(v) / 2 + off))]


def write(name, result):
    os.makedirs(os.path.join(BUILD, "bench"), exist_ok=True)
    with open(os.path.join(BUILD, "bench", f"gateway-{name}.json"), "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


def main(name, rows, doc, figure=None):
    """Measures the rows, prints them and writes the bench's file. figure: the label of the row that is its one figure."""
    a = arguments(doc).parse_args()
    rows = [r for r in rows if not a.rows or a.rows in r.label]
    peers = [start_nginx, start_haproxy, start_ours]
    if not all(r.tls for r in rows):
        peers.insert(0, start_relay)
    if shutil.which("caddy"):
        peers.append(start_caddy)
    b = Bench(a, peers)
    try:
        names = [p.name for p in b.proxies]
        found = b.run(rows)
    finally:
        b.close()
    print(f"{name + ', CPU us a request':28}" + "".join(f"{n:>9}" for n in names) + "   ratio limit   p99 us (where it is, 19 times of 20); ours a second")
    table, missed = {}, []
    for r in rows:
        def median(what):
            return {n: statistics.median(x[what] for x in found[n, r.label]) for n in names if found[n, r.label]}
        cpu, rate = median(0), median(1)
        p99 = {n: interval([w for x in found[n, r.label] for w in x[2]]) for n in cpu}
        ratio = cpu["ours"] / min(cpu["nginx"], cpu["haproxy"])
        t = table[r.label] = {"cpu_us": {k: round(v, 2) for k, v in cpu.items()}, "ratio": round(ratio, 3), "limit": r.limit,
                              "per_second": {k: round(v) for k, v in rate.items()}, "p99_us": {k: [round(x) for x in v] for k, v in p99.items()}}
        if over(t):
            missed.append(f"{r.label}: {ratio:.2f} of {r.limit:.2f}")
        best = min(p99["nginx"], p99["haproxy"])
        if r.rate and p99["ours"][1] > best[2]:
            missed.append(f"{r.label}: p99 {p99['ours'][0]:.0f} us ({p99['ours'][1]:.0f} at least), not {best[0]:.0f} ({best[2]:.0f} at most)")
        print(f"{r.label:28}" + "".join(f"{cpu[n]:9.2f}" if n in cpu else " " * 9 for n in names) + f"{ratio:8.2f}" +
              (f"{r.limit:6.2f}" if r.limit else " " * 6) + "   " + " ".join(f"{n} {p99[n][0]:.0f} ({p99[n][1]:.0f}-{p99[n][2]:.0f})" for n in names if n in p99) +
              f"; {rate['ours']:.0f}/s")
    at = figure if figure in table else max(table, key=lambda k: (table[k]["limit"] is not None, table[k]["ratio"]))
    c = table[at]["cpu_us"]
    for m in missed:
        print(f"over its limit: {m}")
    write(name, {"name": f"gateway-{name}", "unit": f"us of CPU a request, {at}", "ours": c["ours"],
                 "peers": {k: c[k] for k in ("nginx", "haproxy", "caddy") if k in c},
                 "floor": {"relay": c["relay"]} if "relay" in c else {}, "ratio": table[at]["ratio"], "rounds": a.rounds,
                 "threads": a.threads, "over": missed, "rates": table})
