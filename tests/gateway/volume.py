#!/usr/bin/python3
"""Much up and down through the gateway, in pieces, chunks and pauses of random size, compared by hash; its memory is watched.

volume.py [--gib N] [--seed N] [--streams N]     (`make volume`)

Each way some streams run side by side: bodies with Content-Length and in chunks, in turn. A stream now and then pauses for a moment,
and goes through spells of single bytes, of small and of large pieces. Both ends take SHA-256 of what they see."""
import argparse
import collections
import hashlib
import os
import queue
import random
import re
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

LABEL = "demo-volume"
POOL = 32 << 20
LARGE = 1 << 18


class Source:
    """`size` random bytes in pieces of random size: the same for the same seed"""

    pool = None

    def __init__(self, seed, size):
        if Source.pool is None:
            Source.pool = memoryview(os.urandom(POOL))
        self.random, self.left, self.hash = random.Random(seed), size, hashlib.sha256()

    def pieces(self):
        r = self.random
        while self.left:
            # a spell of pieces of about one size; the shorter they are, the fewer
            least, most, count = r.choice([(1, 3, 40), (1, 200, 60), (3900, 4200, 60), (16000, 17000, 100), (1, LARGE, 100), (LARGE, LARGE, 100)])
            for _ in range(r.randrange(1, count)):
                n = min(r.randint(least, most), self.left)
                if not n:
                    return
                at = r.randrange(POOL - n)
                piece = Source.pool[at:at + n]
                self.hash.update(piece)
                self.left -= n
                yield piece
            if r.random() < 0.02:
                time.sleep(r.uniform(0.001, 0.05))


def send_body(s, source, chunked):
    for piece in source.pieces():
        if chunked:
            s.sendall(b"%x\r\n" % len(piece))
            s.sendall(piece)
            s.sendall(b"\r\n")
        else:
            s.sendall(piece)
    if chunked:
        s.sendall(b"0\r\n\r\n")


class Sink:
    """Reads a body, and pauses as well"""

    def __init__(self, s, before, seed):
        self.s, self.buf, self.random = s, before, random.Random(seed)
        self.room = memoryview(bytearray(LARGE))

    def more(self):
        """The next bytes, of which there are some"""
        if self.buf:
            out, self.buf = self.buf, b""
            return out
        if self.random.random() < 0.002:
            time.sleep(self.random.uniform(0.001, 0.05))
        n = self.s.recv_into(self.room, self.random.choice((LARGE, LARGE, LARGE, 16384, 1000)))
        if not n:
            raise EOFError("the body is cut")
        return self.room[:n]

    def line(self):
        while b"\r\n" not in self.buf:
            got = self.s.recv(256)
            if not got:
                raise EOFError("the body is cut")
            self.buf += got
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def exactly(self, n, h):
        while n:
            data = self.more()
            if len(data) > n:
                data, self.buf = data[:n], bytes(data[n:])
            h.update(data)
            n -= len(data)

    def hash(self, length):
        """Of the body; None as length: of its chunks"""
        h, total = hashlib.sha256(), 0
        if length is not None:
            self.exactly(length, h)
            return h.hexdigest(), length
        while n := int(self.line(), 16):
            self.exactly(n, h)
            total += n
            if self.line():
                raise EOFError("a chunk without its end")
        self.line()
        return h.hexdigest(), total


def head(s):
    """(first line, length or None where it is chunked, the bytes behind it)"""
    data = b""
    while b"\r\n\r\n" not in data:
        got = s.recv(4096)
        if not got:
            return None
        data += got
    text, rest = data.split(b"\r\n\r\n", 1)
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", text)
    return text.split(b"\r\n")[0].decode(), int(length.group(1)) if length else None, rest


def demo(c):
    """POST: answers with the hash of what came. GET /SEED/SIZE/chunked: sends so much, and keeps its hash."""
    s = c.s
    while got := head(s):
        line, length, rest = got
        method, path = line.split()[:2]
        if method == "POST":
            digest, size = Sink(s, rest, len(path)).hash(length)
            c.answer(f"{digest} {size}")
            continue
        seed, size, framing = path.strip("/").split("/")
        source = Source(int(seed), int(size))
        chunked = framing == "chunked"
        s.sendall(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % source.left) + b"\r\n\r\n")
        send_body(s, source, chunked)
        demo.sent[int(seed)].put(source.hash.hexdigest())


demo.sent = collections.defaultdict(queue.Queue)  # by seed


def upload(g, seed, size, chunked):
    source = Source(seed, size)
    c = g.connect(timeout=120)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    c.send(f"POST /up HTTP/1.1\r\nHost: {harness.host(LABEL)}\r\n{framing}\r\n\r\n")
    send_body(c.s, source, chunked)
    got = c.response().body.decode()
    c.close()
    want = f"{source.hash.hexdigest()} {size}"
    return None if got == want else f"up, seed {seed}: {got} came, {want} was sent"


def download(g, seed, size, chunked):
    c = g.connect(timeout=120)
    c.send(f"GET /{seed}/{size}/{'chunked' if chunked else 'length'} HTTP/1.1\r\nHost: {harness.host(LABEL)}\r\n\r\n")
    line, length, rest = head(c.s)
    if (length is None) != chunked or " 200 " not in line:
        return f"down, seed {seed}: {line}, length {length}"
    digest, got = Sink(c.s, rest, seed).hash(length)
    c.close()
    want = demo.sent[seed].get(timeout=60)
    return None if (digest, got) == (want, size) else f"down, seed {seed}: {digest} ({got}) came, {want} ({size}) was sent"


def rss_kib(g):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{g.process.pid}/status").read()).group(1))


class Watched:
    """The gateway's memory, sampled"""

    def __init__(self, g):
        self.g, self.over, self.samples = g, threading.Event(), [rss_kib(g)]
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.wait(0.05):
            self.samples.append(rss_kib(self.g))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.samples


def run(g, each_way, streams=4, seed=1):
    """(differences, bytes that went, samples of memory) of each_way bytes up and as many down"""
    g.workers.append(w := harness.Worker(9, harness.Demo(demo)))
    g.spaces[LABEL] = {"space_id": 9, "space": "demo/volume", "stage": "RUNNING", "wakes": 1, "worker": w}
    size = each_way // streams
    wrong, threads = [], []

    def one(way, *args):
        try:
            if what := way(g, *args):
                wrong.append(what)
        except (OSError, EOFError, ValueError, queue.Empty) as e:
            wrong.append(f"{way.__name__}, seed {args[0]}: {e!r}")

    watched = Watched(g)
    for i in range(streams):
        for k, way in enumerate((upload, download)):
            threads.append(threading.Thread(target=one, args=(way, seed + 2 * i + k, size, i % 2 == 0)))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return wrong, 2 * streams * size, watched.end()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--gib", type=float, default=8, help="each way")
    a.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"))
    a.add_argument("--streams", type=int, default=4)
    a = a.parse_args()
    g = harness.Gateway(log__level="error")
    start = time.monotonic()
    wrong, went, samples = run(g, int(a.gib * (1 << 30)), a.streams, a.seed)
    g.close()
    tenth = max(1, len(samples) // 10)
    early, late = max(samples[:2 * tenth]), max(samples[-tenth:])
    print(f"{went / (1 << 30):.2f} GiB, half of it up, in {time.monotonic() - start:.0f} s, {2 * a.streams} streams, seed {a.seed}: {len(wrong)} differences")
    print(f"the gateway's memory, {len(samples)} samples: {samples[0]} KiB first, at most {early} in the first fifth, {max(samples)} at all, {late} in the last tenth")
    for w in wrong:
        print(w)
    sys.exit(1 if wrong or max(samples) > early + 1024 else 0)


if __name__ == "__main__":
    main()
