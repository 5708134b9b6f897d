"""A page and a small API, with Python's own library alone."""
import html
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TITLE = "@TITLE@"
PAGE = """<!doctype html>
<meta charset="utf-8"><title>%s</title>
<h1>%s</h1>
<form>Your name: <input name="name" autofocus> <button>Greet</button></form>
<p id="answer"></p>
<script>
document.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("name");
    const response = await fetch("api/greet?name=" + encodeURIComponent(name));
    document.getElementById("answer").textContent = (await response.json()).greeting;
};
</script>
""" % (html.escape(TITLE), html.escape(TITLE))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/":
            self.answer(200, "text/html; charset=utf-8", PAGE)
        elif url.path == "/api/greet":
            name = parse_qs(url.query).get("name", ["stranger"])[0]
            self.answer(200, "application/json", json.dumps({"greeting": f"Hello, {name}!"}))
        else:
            self.answer(404, "text/plain", "There is no such page.\n")

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "7860"))
    print(f"listening on port {port}", flush=True)
    ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()
