"""One case: what a visitor sends, what the demo answers, and what RFC 9110, 9112 or 6455 makes right.

`send`, `answers`: visitor.py, origin.py. `right` takes a Result and says what is wrong, or None. `clear` are the requests
that the visitor sent without a doubt, as (method, target) or (method, target, body): a demo that sees another one has been
lied to. `starts` are those that it may see the beginning of, but not the end.

`level`: MUST, SHOULD, or "property" where the RFC leaves it open (a recipient MAY make sense of what is malformed, 9110 2.4),
and it is we who want no guesses, or no lost answers."""
import re

ALL = []
HOST = b"HOST"  # stands for the case's own host name in what is sent, UPPER for the same in capitals
FRAMING = ("transfer-encoding", "content-length")


class Case:
    def __init__(self, name, ref, must, send, right, answers=None, clear=(), starts=(), methods=("GET",), n=1, ends=False,
                 behind=0, settle=None, leaves=False, level="MUST", direct=False):
        assert name not in {c.name for c in ALL}, name
        self.name, self.ref, self.must, self.send, self.right = name, ref, must, send, right
        self.answers, self.clear, self.starts, self.methods, self.n = answers, list(clear), list(starts), methods, n
        self.ends, self.behind, self.settle, self.leaves, self.level = ends, behind, settle, leaves, level
        self.direct = direct  # compared with what happens without a proxy
        ALL.append(self)

    def for_host(self, host):
        """What is sent to a proxy that knows the demo by this name"""
        def put(step):
            if isinstance(step, bytes):
                step = step.replace(HOST, host.encode()).replace(b"UPPER", host.upper().encode())
            return step
        return [put(x) for x in self.send] if isinstance(self.send, list) else put(self.send)

    def lied_to(self, r):
        """Does the demo see a request that the visitor did not clearly send? Which, or None."""
        if r.garbage:
            return f"the demo got what is no request: {r.garbage[0]}"
        left = list(self.clear)
        for m in r.seen:
            if m.method == "CONNECT" and any(isinstance(x, bytes) and x.startswith(b"CONNECT") for x in self.send):
                continue
            target = re.sub("(?i)^https?://[^/?]*(?=[/?]|$)", "", m.target) or "/"
            fits = [c for c in left if c[:2] in ((m.method, m.target), (m.method, target)) and (len(c) < 3 or c[2] == m.body)]
            if not fits:
                return f"the demo saw {m.method} {m.target}" + (f" with {m.body[:60]!r}" if m.body else "")
            left.remove(fits[0])
        for m in r.begun:
            if (m.method, m.target) not in [c[:2] for c in self.clear + self.starts]:
                return f"the demo saw the beginning of {m.method} {m.target}"
        for m in r.seen + r.begun:
            doubtful = [k for k, _ in m.fields if k.lower() not in FRAMING and re.sub("[^a-z]", "-", k.lower()) in FRAMING]  # to CGI, say
            if doubtful:
                return f"the demo saw {doubtful[0]!r} beside the framing"
        return None


def case(name, ref, must, send, right, **more):
    Case(name, ref, must, send if isinstance(send, list) else [send], right, **more)


def get(target="/", fields="", host="HOST", method="GET", version="1.1", body=""):
    """A request, as bytes; with a body it has its Content-Length."""
    host = f"Host: {host}\r\n" if host is not None else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/{version}\r\n{host}{fields}{length}\r\n{body}".encode("latin-1")


# ---- what is right: each returns a function of a Result that says what is wrong ----

def what(r):
    """What happened, in few words"""
    out = "answered " + " ".join(map(str, r.statuses)) if r.answers else "no answer"
    if r.malformed:
        out += f", then {r.malformed}"
    if r.cut:
        out += " (cut)"
    out += f", {r.end}; "
    if r.garbage:
        return out + f"demo got no request: {r.garbage[0]}"
    out += "demo saw " + (", ".join(f"{m.method} {m.target}" + (f" {m.body[:20]!r}" if m.body else "") for m in r.seen) or "nothing")
    return out + (f", and the beginning of {r.begun[0].method} {r.begun[0].target}" if r.begun else "")


def rejected(*statuses, closes=False):
    """Refused by the proxy with one of these; the demo has not seen the end of it. `closes`: and that was all."""
    def right(r):
        if r.status not in (statuses or (400,)):
            return "not refused" + (f" with {'/'.join(map(str, statuses))}" if statuses else "")
        if r.seen or r.garbage:
            return "refused, but the demo has seen it"
        if closes and not r.gone:
            return "the connection stays open"
    return right


ANY_4XX = tuple(range(400, 500)) + (501, 505)


def refused(r):
    """Refused somehow, or dropped"""
    return None if (r.status in ANY_4XX or (r.gone and not r.answers)) and not r.seen and not r.garbage else "not refused"


def passed(*checks, n=1, statuses=None):
    """The demo saw n requests, the visitor got their answers, and all checks of (the first request, the Result) hold."""
    def right(r):
        if r.garbage:
            return f"the demo got no request: {r.garbage[0]}"
        if len(r.seen) != n:
            return f"the demo saw {len(r.seen)} requests, not {n}"
        if r.malformed:
            return f"the visitor got no answer: {r.malformed}"
        if r.statuses != (statuses or [200] * n):
            return "the answers are not the demo's"
        for check in checks:
            wrong = check(r.seen[0], r)
            if wrong:
                return wrong
    return right


def either(*rights):
    def right(r):
        wrong = [f(r) for f in rights]
        return None if None in wrong else "; or ".join(wrong)
    return right


def both(*rights):
    def right(r):
        for f in rights:
            wrong = f(r)
            if wrong:
                return wrong
    return right


def closes(r):
    return None if r.gone else "the connection stays open"


def target_is(t):
    return lambda m, r: None if m.target == t else f"the target became {m.target}"


def nothing_malformed(r):
    """Refused, or what went on is a request by the letter"""
    return f"the demo got no request: {r.garbage[0]}" if r.garbage else None


def body_is(b):
    return lambda m, r: None if m.body == b else f"the body became {m.body[:60]!r}"


def has(name, value):
    return lambda m, r: None if m.get(name) == value else f"{name} became {m.get(name)!r}"


def hasnt(name):
    return lambda m, r: None if m.get(name) is None else f"{name}: {m.get(name)} went on"


def answer(*checks, interims=None, status=200):
    """The visitor got one whole answer with that status for which all checks of (it, the Result) hold."""
    def right(r):
        if r.malformed:
            return f"the visitor got no HTTP: {r.malformed}"
        if not r.answers or r.answers[0].status != status:
            return f"not answered with {status}"
        if not r.answers[0].whole:
            return "the answer was cut"
        if interims is not None and [m.status for m in r.interims] != interims:
            return f"1xx: {[m.status for m in r.interims]}"
        for check in checks:
            wrong = check(r.answers[0], r)
            if wrong:
                return wrong
    return right


def visibly_cut(r):
    """The visitor can tell that it has not got all of the answer."""
    if r.malformed or r.status == 502 or (r.gone and not r.answers):
        return None
    if r.cut and r.gone:
        return None
    return "the visitor still waits" if not r.gone and not (r.answers and r.answers[0].whole) else "the visitor cannot tell that the answer is not whole"
