"""A hub of models of the test's own, which answers as the Hugging Face Hub does: metadata with HEAD, large files by a
redirection, ranges, lists. It can break off, lie and ask for a token; what it was asked is kept."""
import hashlib
import http.server
import json
import ssl
import threading
import time
from urllib.parse import unquote, urlsplit


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def etag_of(data, lfs):
    return sha256(data) if lfs else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class FakeHub:
    def __init__(self, certificate=None):
        self.token = None
        self.elsewhere = ""  # the URL of another server that large files are sent from
        self.models = {}  # repo -> {revision or commit: (commit, {path: (bytes, is it LFS)})}
        self.renamed = {}
        self.asked = []  # (method, path, range)
        self.sent = 0  # bytes of files
        self.break_after = None  # this many bytes of a large file, once
        self.pause = None  # a function that a large file calls between its pieces
        self.lies = {}  # sha256 -> the bytes that are sent instead
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, headers, body=b""):
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                outer.asked.append((self.command, self.path, self.headers.get("Range")))
                if outer.token and self.headers.get("Authorization") != f"Bearer {outer.token}":
                    return self.answer(401, {"X-Error-Code": "RepoNotFound"}, b"log in")
                parts = [unquote(p) for p in urlsplit(self.path).path.strip("/").split("/")]
                if parts[0] == "blob":
                    return self.blob(parts[1])
                if parts[:2] == ["api", "models"]:
                    return self.list("/".join(parts[2:-2]), parts[-1])
                repo, rest = "/".join(parts[:parts.index("resolve")]), parts[parts.index("resolve") + 1:]
                if repo in outer.renamed:
                    return self.answer(307, {"Location": self.path.replace(repo, outer.renamed[repo], 1)})
                return self.resolve(repo, rest[0], "/".join(rest[1:]))

            do_HEAD = do_GET

            def list(self, repo, revision):
                if revision not in outer.models.get(repo, {}):
                    return self.answer(404, {"X-Error-Code": "RepoNotFound"}, b"{}")
                commit, files = outer.models[repo][revision]
                text = json.dumps({"id": repo, "sha": commit, "siblings": [{"rfilename": f} for f in files]})
                return self.answer(200, {"Content-Type": "application/json"}, text.encode())

            def resolve(self, repo, revision, path):
                commit, files = outer.models.get(repo, {}).get(revision, ("", {}))
                if path not in files:
                    return self.answer(404, {"X-Error-Code": "EntryNotFound", **({"X-Repo-Commit": commit} if commit else {})}, b"no such file")
                data, lfs = files[path]
                etag = etag_of(data, lfs)
                if lfs:
                    return self.answer(302, {"X-Repo-Commit": commit, "X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{etag}"',
                                             "Location": f"{outer.elsewhere}/blob/{etag}"})
                outer.sent += len(data) if self.command == "GET" else 0
                return self.answer(200, {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Content-Type": "application/json"}, data)

            def blob(self, digest):
                data = outer.lies.get(digest) or next(d for revisions in outer.models.values() for _, files in revisions.values()
                                                      for d, lfs in files.values() if lfs and sha256(d) == digest)
                begin = int((self.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
                self.send_response(206 if begin else 200)
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - begin))
                self.end_headers()
                for at in range(begin, len(data), 65536):
                    if outer.pause:
                        outer.pause(at)
                    self.wfile.write(data[at:at + 65536])
                    outer.sent += len(data[at:at + 65536])
                    if outer.break_after is not None and at >= outer.break_after:
                        outer.break_after = None
                        self.close_connection = True
                        return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.host = f"a.localhost:{self.server.server_port}"
            self.url = f"https://{self.host}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def add(self, repo, files, large=(), revisions=("main",)):
        """A commit with these files; those of `large` are kept in LFS. The commit."""
        commit = hashlib.sha1(json.dumps([repo, {k: sha256(v) for k, v in files.items()}]).encode()).hexdigest()
        tree = {path: (data, path in large) for path, data in files.items()}
        for r in (commit, *revisions):
            self.models.setdefault(repo, {})[r] = (commit, tree)
        return commit

    def gets(self, path):
        return [a for a in self.asked if a[0] == "GET" and a[1].startswith(path)]

    def slow(self, seconds):
        self.pause = lambda at: time.sleep(seconds)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
