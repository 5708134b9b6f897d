"""The visitor of one case: sends the case's bytes as they are, and says what came back.

What is sent is bytes, or a list of bytes and of: a number (seconds to wait), HALF (sends no more), Answers(n) (waits for n
final answers), Interims(n) (1xx), Seen(n) (the demo has n whole requests), Begun() (the demo has the head of one)."""
import contextlib
import select
import socket
import time

import message

HALF = "half"
SETTLE = 0.12  # seconds in which something that must not come would have come
PATIENCE = 5


class Answers:
    def __init__(self, n=1):
        self.n = n


class Interims(Answers):
    pass


class Seen(Answers):
    pass


class Begun:
    pass


class Result:
    """What one proxy did with one case"""

    def __init__(self):
        self.answers, self.interims = [], []  # Messages
        self.malformed = None  # why the rest of the answer is no HTTP
        self.raw = b""
        self.rest = b""  # bytes that are no whole answer
        self.behind = b""  # ... after an upgrade
        self.end = "open"  # closed, reset
        self.seen, self.begun, self.garbage, self.origin_raw, self.origin_behind = [], [], [], b"", b""

    @property
    def statuses(self):
        return [m.status for m in self.answers]

    @property
    def status(self):
        return self.answers[0].status if self.answers else 0

    @property
    def cut(self):
        """An answer began and was visibly not finished"""
        return bool(self.answers) and not self.answers[-1].whole

    @property
    def gone(self):
        return self.end != "open"


class Visitor:
    def __init__(self, port, case, origin, patience):
        self.case, self.origin, self.patience = case, origin, patience
        self.r = Result()
        self.begins = 0
        self.upgraded = False
        self.partial = None
        self.s = socket.create_connection(("127.0.0.1", port), 10)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poll = select.poll()
        self.poll.register(self.s, select.POLLIN)

    def read(self, seconds):
        """Waits so long for something to come; False where nothing did."""
        if self.r.end != "open":
            return False
        if not self.poll.poll(max(0, seconds) * 1000):
            return False
        try:
            data = self.s.recv(1 << 16)
        except OSError:
            self.r.end = "reset"
            return True
        if not data:
            self.r.end = "closed"
        self.r.raw += data
        self.understand()
        return True

    def understand(self):
        r = self.r
        while r.malformed is None:
            rest = r.raw[self.begins:]
            if self.upgraded:
                r.behind, self.begins = r.behind + rest, len(r.raw)
                return
            if not rest:
                self.partial = None
                return
            n = len(r.answers)
            method = self.case.methods[min(n, len(self.case.methods) - 1)]
            try:
                got = message.response(rest, method)
            except message.Malformed as e:
                r.malformed = str(e)
                return
            self.partial = got[0] if got else None
            if got is None or got[1] is None:
                return
            self.begins += got[1]
            self.partial = None
            if got[0].status < 200 and got[0].status != 101:
                r.interims.append(got[0])
            else:
                r.answers.append(got[0])
                self.upgraded = got[0].status == 101

    def until(self, done):
        end = time.monotonic() + self.patience
        while not done() and self.r.end == "open" and (left := end - time.monotonic()) > 0:
            self.read(min(left, 0.02))

    def send(self, steps):
        for step in steps if isinstance(steps, list) else [steps]:
            if isinstance(step, bytes):
                with contextlib.suppress(OSError):
                    self.s.sendall(step)
            elif isinstance(step, (int, float)):
                time.sleep(step)
            elif step == HALF:
                with contextlib.suppress(OSError):
                    self.s.shutdown(socket.SHUT_WR)
            elif isinstance(step, Interims):
                self.until(lambda: len(self.r.interims) >= step.n or self.r.answers)
            elif isinstance(step, Seen):
                self.until(lambda: sum(len(c.requests) for c in self.origin.connections) >= step.n or self.r.answers)
            elif isinstance(step, Begun):
                self.until(lambda: any(c.begun or c.requests for c in self.origin.connections) or self.r.answers)
            else:
                self.until(lambda: len(self.r.answers) >= step.n)

    def visit(self):
        case, r = self.case, self.r
        with self.s:
            self.send(case.send)
            self.until(lambda: len(r.answers) >= case.n and len(r.behind) >= case.behind or r.malformed)
            if case.ends:
                self.until(lambda: False)
            while self.read(case.settle or SETTLE):
                pass
            if r.end != "open" and self.partial:  # what has begun, as far as it came
                self.partial.whole = self.partial.framing == "end" and r.end == "closed"
                r.answers.append(self.partial)
            elif self.begins < len(r.raw):
                r.rest = r.raw[self.begins:]
                if self.partial:
                    r.answers.append(self.partial)
        if case.leaves:  # how the demo takes it that the visitor has gone
            end = time.monotonic() + self.patience
            while not all(c.ended for c in self.origin.connections) and time.monotonic() < end:
                time.sleep(0.01)
        for c in self.origin.connections:
            r.seen += c.requests
            r.begun += [c.begun] if c.begun else []
            r.garbage += [c.garbage] if c.garbage else []
            r.origin_raw += c.raw
            r.origin_behind += c.behind
        return r
