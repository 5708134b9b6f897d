"""The demo of one case: it records every byte that it gets, and answers as the case says.

An answer is bytes, or a list of bytes and of: a number (seconds to wait), CLOSE, RESET, END (half closed), BODY (wait for
the request's body: the answer begins at its head), ECHO (every byte goes back, from here on)."""
import contextlib
import socket
import struct
import threading
import time

import message

CLOSE, RESET, END, BODY, ECHO = "close", "reset", "end", "body", "echo"


def default_answer(request):
    text = f"{request.method} {request.target}".encode()
    return b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s" % (len(text), b"" if request.method == "HEAD" else text)


class Recorded:
    """What came on one connection"""

    def __init__(self):
        self.raw = b""
        self.begins = 0  # where in raw the request begins that is being read
        self.requests, self.begun = [], None
        self.garbage = None
        self.behind = b""  # what came after an upgrade
        self.ended = False

    def read(self):
        """Takes in what can be understood by now. The new whole requests."""
        new = []
        while self.garbage is None and self.begins < len(self.raw):
            try:
                got = message.request(self.raw[self.begins:])
            except message.Malformed as e:
                self.garbage = str(e)
                break
            self.begun = got[0] if got else None
            if got is None or got[1] is None:
                break
            self.begins += got[1]
            self.requests.append(got[0])
            self.begun = None
            new.append(got[0])
        return new


class Origin:
    def __init__(self, answers=None):
        self.answers = answers
        self.lock = threading.Lock()
        self.connections = []
        self.answered = 0
        self.errors = []  # as tests/gateway/harness.py's Demo has it
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        record = Recorded()
        with self.lock:
            self.connections.append(record)
        with s, contextlib.suppress(OSError):
            self._talk(s, record)
        record.ended = True

    def _more(self, s, record):
        data = s.recv(1 << 16)
        record.raw += data
        return bool(data)

    def _next_answer(self, request):
        with self.lock:
            n, self.answered = self.answered, self.answered + 1
        if not self.answers:
            return default_answer(request)
        answer = self.answers[min(n, len(self.answers) - 1)]
        return answer or default_answer(request)

    def _talk(self, s, record):
        early = bool(self.answers) and any(isinstance(a, list) and BODY in a for a in self.answers)
        while self._more(s, record):
            requests = record.read()
            if not requests and early and record.begun:
                requests = [record.begun]
            for request in requests:
                if not self._answer(s, record, request):
                    return
            if record.garbage:
                return

    def _answer(self, s, record, request):
        answer = self._next_answer(request)
        for step in answer if isinstance(answer, list) else [answer]:
            if isinstance(step, bytes):
                s.sendall(step)
            elif isinstance(step, (int, float)):
                time.sleep(step)
            elif step == BODY:
                while not request.whole and record.begun:
                    if not self._more(s, record):
                        return False
                    record.read()
                    request.whole = record.begun is None
            elif step == END:
                s.shutdown(socket.SHUT_WR)
            elif step == ECHO:
                self._echo(s, record)
                return False
            elif step == RESET:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
            else:
                return False
        return True

    def _echo(self, s, record):
        data = record.raw[record.begins:]
        record.begins = len(record.raw)
        while True:
            record.behind += data
            if data:
                s.sendall(data)
            data = s.recv(1 << 16)
            if not data:
                return

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
