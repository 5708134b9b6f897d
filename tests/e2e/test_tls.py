"""HTTPS of a whole system: certificates from files, read again while it runs; the site and its Spaces know that they are at
https://; an ACME client's answers are served."""
import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import ssl
import sys
import zipfile

import pytest

from vitrine import Answer, Vitrine, free_port, until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "gateway"))
from certs import Pair  # noqa: E402

NAMES = ("localhost", "*.localhost")


class Secure:
    """A system with HTTPS"""

    def __init__(self, make, tmp_path, extra="", pair=None, start=True):
        self.folder = tmp_path / "live"
        self.folder.mkdir()
        self.challenges = tmp_path / "acme"
        self.challenges.mkdir()
        self.pair = pair
        if pair:
            pair.write(self.folder)
        self.port = free_port()
        for d in (tmp_path, self.folder, self.challenges):
            d.chmod(0o755)
        self.v = make(f"[tls]\nlisten = 127.0.0.1:{self.port}\ncertificates = {self.folder}\nchallenges = {self.challenges}\n{extra}", start=start)

    def handshake(self, session=None, context=None):
        context = context or client_context()
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10), server_hostname="localhost", session=session)
        with contextlib.closing(s):
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while s.recv(4096):
                pass
            return s.getpeercert(binary_form=True), s.session, s.session_reused

    def certificate(self):
        return self.handshake()[0]

    def http(self, method, path, host="localhost", body=None, headers=None):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=client_context())
        try:
            c.request(method, path, body, {"Host": f"{host}:{self.port}", **(headers or {})})
            r = c.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            c.close()


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture
def secure(vitrine, tmp_path):
    return lambda **kw: Secure(vitrine, tmp_path, **kw)


def test_the_site_is_at_https(secure):
    s = secure(pair=Pair(*NAMES, days=90))
    v, origin = s.v, f"https://localhost:{s.port}"
    assert f"ready: {origin}/" in v.said
    link = next(line for line in v.said if line.startswith("admin: ")).split()[1]
    assert link.startswith(origin + "/")
    assert s.certificate() == s.pair.der

    r = v.get("/some?x=1")
    assert (r.status, r.headers["location"]) == (308, origin + "/some?x=1")
    refused = v.cli("list")
    assert refused.returncode == 1 and "HTTPS" in refused.stderr and "VITRINE_URL" in refused.stderr

    login = s.http("GET", link[len(origin):])
    if login.status == 200:  # a page with a button
        token = re.search(r'name="([^"]+)" value="([^"]+)"', login.body.decode())
        login = s.http("POST", link[len(origin):].split("?")[0], body=f"{token[1]}={token[2]}" if token else "",
                       headers={"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"})
    assert "secure" in login.headers["set-cookie"].lower() and "__Host-" in login.headers["set-cookie"]

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("README.md", "---\nsdk: static\n---\n")
        z.writestr("index.html", "over TLS")
    auth = {"Authorization": f"Bearer {v.token}"}
    made = s.http("PUT", "/api/spaces/me/demo/bundle", body=archive.getvalue(), headers={**auth, "Content-Type": "application/zip"})
    assert made.status // 100 == 2, made.body
    assert until(lambda: s.http("GET", "/", "me-demo.localhost").body == b"over TLS")
    info = json.loads(s.http("GET", "/api/spaces/me/demo", headers=auth).body)
    assert f"https://me-demo.localhost:{s.port}" in json.dumps(info)

    # a change from another origin is refused, also from the same name by plain HTTP
    for other in (f"http://localhost:{s.port}", f"http://localhost:{v.port}", f"https://me-demo.localhost:{s.port}"):
        r = s.http("DELETE", "/api/spaces/me/demo", headers={"Origin": other, "Cookie": login.headers["set-cookie"].split(";")[0]})
        assert r.status == 403, (other, r.status, r.body)

    assert s.http("DELETE", "/api/spaces/me/demo", headers={"Origin": origin, "Cookie": login.headers["set-cookie"].split(";")[0]}).status == 200
    check = v.cli("check", "--config", v.config, "--json")
    rows = [c for c in json.loads(check.stdout)["checks"] if c["name"] == "certificate"]
    assert len(rows) == 1 and rows[0]["state"] == "ok" and "*.localhost until" in rows[0]["detail"], rows


def test_certificates_are_read_again(secure):
    s = secure(pair=Pair(*NAMES))
    context = client_context()
    first, session, _ = s.handshake(context=context)
    assert first == s.pair.der

    open_since = context.wrap_socket(socket.create_connection(("127.0.0.1", s.port), 10), server_hostname="localhost")
    renewed = Pair(*NAMES, days=60)
    renewed.write(s.folder)
    s.v.up.send_signal(signal.SIGHUP)
    assert until(lambda: s.certificate() == renewed.der, 4)
    open_since.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert open_since.recv(4096).startswith(b"HTTP/1.1 200")
    open_since.close()

    with open(s.folder / "privkey.pem", "wb") as f:  # half of a pair: kept out, and named
        f.write(s.pair.key)
    s.v.up.send_signal(signal.SIGHUP)
    assert until(lambda: "privkey.pem is not the key of the certificate in" in s.v.log)
    assert s.certificate() == renewed.der

    gateway = s.v.named("vitrine-gateway")[0]
    os.kill(gateway, signal.SIGKILL)  # certificates and ticket keys are `up`'s
    assert until(lambda: s.v.named("vitrine-gateway") not in ([], [gateway]) and s.certificate() == renewed.der)
    assert s.handshake(session, context)[2]
    renewed.write(s.folder)


def test_the_first_certificate_comes_through_the_challenge(secure, tmp_path):
    """As certbot does it: an answer in the webroot, then files behind symbolic links, and nobody sends a signal."""
    s = secure()
    assert "fullchain.pem" in s.v.log and "signed by itself" in s.v.log
    own = s.certificate()
    (s.challenges / "TOKEN_abc-1").write_text("TOKEN_abc-1.thumbprint")
    os.symlink("/etc/passwd", s.challenges / "link")
    (s.challenges / "large").write_text("x" * 5000)
    place = "/.well-known/acme-challenge/"
    for host in ("localhost", "me-demo.localhost"):
        r = s.v.get(place + "TOKEN_abc-1", host)
        assert (r.status, r.body) == (200, b"TOKEN_abc-1.thumbprint")
    for none in ("link", "large", "nothing", "..", "%2e%2e"):
        assert s.v.get(place + none).status == 404, none
    archive = tmp_path / "archive"
    archive.mkdir(mode=0o755)
    pair = Pair(*NAMES)
    pair.write(archive)
    for name in ("fullchain.pem", "privkey.pem"):
        os.symlink(archive / name, s.folder / name)
    assert until(lambda: s.certificate() == pair.der, 20) and own != pair.der


@pytest.mark.parametrize("wrong, said", [
    ("key", "privkey.pem is not the key of the certificate in"), ("garbage", "fullchain.pem: no certificate in PEM"), ("empty", "fullchain.pem: no certificate in PEM: it is empty"),
    ("chain", "fullchain.pem: the certificates do not follow from one another")])
def test_what_is_wrong_is_named(secure, wrong, said):
    pair = Pair(*NAMES)
    if wrong == "key":
        pair.key = Pair(*NAMES).key
    elif wrong == "garbage":
        pair.chain = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    elif wrong == "empty":
        pair.chain = b""
    else:
        pair.chain += Pair("other.example").chain
    s = secure(pair=pair, start=False)
    r = s.v.cli("up", "--data", s.v.data, "--listen", f"127.0.0.1:{s.v.port}", "--config", s.v.config, timeout=30)
    assert r.returncode == 1 and said in r.stderr, r.stderr
    rows = [c for c in json.loads(s.v.cli("check", "--config", s.v.config, "--json").stdout)["checks"] if c["name"] == "certificate"]
    assert rows[0]["state"] == "missing" and said in rows[0]["detail"]


@pytest.mark.parametrize("pair, said", [
    (Pair(*NAMES, days=5), "the certificate ends on"), (Pair(*NAMES, days=-1, age=30), "the certificate ended on"), (Pair("other.example"), "no certificate is for the site's host localhost"),
    (Pair("localhost"), "no certificate is for *.localhost")])
def test_check_warns(secure, pair, said):
    s = secure(pair=pair, start=False)
    rows = json.loads(s.v.cli("check", "--config", s.v.config, "--json").stdout)["checks"]
    assert any(c["name"] == "certificate" and c["state"] == "weak" and said in c["detail"] for c in rows), rows


def test_an_insecure_listener_that_only_redirects_is_no_fault(tmp_path):
    v = Vitrine("[server]\nlisten = 0.0.0.0:80\n[tls]\nlisten = 0.0.0.0:443\n")
    try:
        assert v.cli("config", "--config", v.config).returncode == 0
        with open(v.config, "a") as f:
            f.write("redirect = false\n")
        r = v.cli("config", "--config", v.config)
        assert r.returncode == 1 and "allow_insecure_listen" in r.stderr
    finally:
        v.end()
