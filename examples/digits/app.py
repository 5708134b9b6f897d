"""Handwritten digits: draw one, and a model says which it is.

    GET  /                 the page
    GET  /api/info         what the model is and how well it does on digits that it never saw
    GET  /api/held-out     those digits: {"indices", "pixels", "labels"}; ?i=N gives one of them
    POST /api/predict      a PNG as the body, or JSON {"pixels": [64 numbers from 0 to 16]}
                           -> {"label", "probabilities", "pixels"}

The model is trained at the first start and kept in /data. Only Python's own HTTP server, numpy,
Pillow and (for training) scikit-learn are used.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: threads cost more than they bring

import json
import pathlib
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

import drawing
import model

HERE = pathlib.Path(__file__).resolve().parent
BODY_MAX = 4 << 20
PAGE = (HERE / "index.html").read_bytes()


class Refused(Exception):
    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


def numbers(body):
    """The 64 numbers of a JSON body."""
    try:
        given = json.loads(body)["pixels"]
        pixels = np.asarray(given, dtype=np.float64)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Refused(400, 'send a PNG, or JSON {"pixels": [64 numbers from 0 to 16]}') from error
    if pixels.shape not in ((64,), (8, 8)):
        raise Refused(400, f"64 pixels are needed, these are {pixels.size}")
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 16:
        raise Refused(400, "pixels are numbers from 0 to 16")
    return pixels.ravel()


def predict(body):
    if body[:8] == b"\x89PNG\r\n\x1a\n":
        try:
            pixels = drawing.pixels(drawing.load(body))
        except drawing.BadDrawing as error:
            raise Refused(400, str(error)) from error
    else:
        pixels = numbers(body)
    probabilities = digits.probabilities(pixels)[0]
    return {
        "label": int(probabilities.argmax()),
        "probabilities": [round(float(p), 5) for p in probabilities],
        "pixels": [round(float(p), 2) for p in pixels],
    }


def info():
    return {
        "accuracy": round(digits.accuracy, 4),
        "held_out": len(digits.held_out),
        "trained_on": 1797 - len(digits.held_out),
        "support_vectors": len(digits.centers),
    }


def held_out(query):
    indices, pixels, labels = digits.held_out, digits.held_out_pixels, digits.held_out_labels
    if "i" in query:
        try:
            i = int(query["i"][0])
            if not 0 <= i < len(indices):
                raise ValueError
        except ValueError as error:
            raise Refused(404, f"i is a number from 0 to {len(indices) - 1}") from error
        return {"index": int(indices[i]), "pixels": pixels[i].tolist(), "label": int(labels[i])}
    return {"indices": indices.tolist(), "pixels": pixels.tolist(), "labels": labels.tolist()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "digits"
    sys_version = ""
    timeout = 120

    def log_message(self, *args):
        pass

    def answer(self, body, content_type="application/json", status=200):
        """One write, so that nothing waits for an acknowledgement."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} \r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nCache-Control: no-cache\r\n"
        if self.close_connection:
            head += "Connection: close\r\n"
        self.wfile.write((head + "\r\n").encode() + (b"" if self.command == "HEAD" else body))

    def refuse(self, refused):
        self.answer({"error": str(refused)}, status=refused.status)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        try:
            if url.path == "/":
                self.answer(PAGE, "text/html; charset=utf-8")
            elif url.path == "/api/info":
                self.answer(info())
            elif url.path == "/api/held-out":
                self.answer(held_out(urllib.parse.parse_qs(url.query)))
            else:
                raise Refused(404, "no such page")
        except Refused as refused:
            self.refuse(refused)

    do_HEAD = do_GET

    def do_POST(self):
        try:
            length = int(self.headers.get("Content-Length", ""))
            if not 0 <= length <= BODY_MAX:
                raise Refused(413, "at most 4 MiB")
        except ValueError:
            self.close_connection = True
            return self.refuse(Refused(411, "Content-Length is needed"))
        except Refused as refused:
            self.close_connection = True
            return self.refuse(refused)
        body = self.rfile.read(length)
        try:
            if urllib.parse.urlsplit(self.path).path != "/api/predict":
                raise Refused(404, "no such page")
            self.answer(predict(body))
        except Refused as refused:
            self.refuse(refused)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    begun = time.monotonic()
    digits = model.obtain(pathlib.Path(os.environ.get("DIGITS_DATA", "/data")) / "digits.npz")
    print(
        f"digits: accuracy {digits.accuracy:.4f} on {len(digits.held_out)} held-out digits, "
        f"ready after {time.monotonic() - begun:.2f} s",
        flush=True,
    )
    Server(("127.0.0.1", int(os.environ.get("PORT", "7860"))), Handler).serve_forever()
