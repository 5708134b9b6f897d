import http.server
import os
import subprocess
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = urllib.parse.unquote(self.path[1:])[:40] or "Vitrine"
        art = subprocess.run(["figlet", "-w", "200", text], capture_output=True, check=True).stdout
        self.send_response(200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(art)))
        self.end_headers()
        self.wfile.write(art)


http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
