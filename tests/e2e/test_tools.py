"""Builds with the system's own tools: Debian packages of packages.txt, npm, build commands. They fetch from Debian's archive
and npm's registry, as builds of people do."""
import os
import shutil

import pytest
import wheels
from vitrine import Vitrine, until

HAS_NPM = shutil.which("npm", path="/usr/local/bin:/usr/bin:/bin")
needs_npm = pytest.mark.skipif(not HAS_NPM, reason="this system has no npm in /usr")
needs_apt = pytest.mark.skipif(not os.path.exists("/usr/bin/apt-get"), reason="this system has no apt")
SERVER = """const http = require('http');
http.createServer((q, a) => a.end(BODY)).listen(process.env.PORT, '127.0.0.1');
"""


@pytest.fixture(scope="module")
def up():
    v = Vitrine("[build]\nuv = none\n[limits]\nmemory = 512M\n")
    v.start()
    yield v
    v.end()


def runs(v, name, **kw):
    folder = wheels.bundle(os.path.join(v.folder, "b-" + name.replace("/", "-")), kw.pop("code", "return 1"), **kw)
    r = v.cli("deploy", folder, name)
    assert r.returncode == 0, r.stderr + log_of(v, name) + v.log[-2000:]
    return v.demo(name).body.decode()


def fails(v, name, **kw):
    folder = wheels.bundle(os.path.join(v.folder, "b-" + name.replace("/", "-")), kw.pop("code", "return 1"), **kw)
    r = v.cli("deploy", folder, name)
    assert r.returncode == 1, r.stdout
    return r.stderr


def log_of(v, name):
    return v.cli("logs", name, "--build").stdout


def envs(v):
    return sorted(os.listdir(v.data + "/envs"))


FIGLET = "import shutil, subprocess\nreturn subprocess.run(['figlet', 'hi'], capture_output=True, text=True).stdout + str(shutil.which('sl'))"


@needs_apt
def test_packages(up):
    page = runs(up, "demo/figlet", code=FIGLET, **{"packages.txt": "figlet # letters\nsl\n"})
    assert "|_| |_|_|" in page and page.endswith("/usr/games/sl"), page
    log = log_of(up, "demo/figlet")
    assert "packages: layer " in log and "/usr/bin/figlet is /usr/bin/figlet-figlet" in log
    # the same words, no further build; the same packages in other words, no second layer
    before = envs(up)
    assert "|_| |_|_|" in runs(up, "demo/figlet", code=FIGLET + "  ", **{"packages.txt": "figlet # letters\nsl\n"})
    assert "packages: " not in log_of(up, "demo/figlet").split("unpacking")[-1]
    assert "|_| |_|_|" in runs(up, "other/figlet", code=FIGLET, **{"packages.txt": "sl figlet"})
    assert until(lambda: envs(up) == before) and "is there already" in log_of(up, "other/figlet")  # what was not needed goes
    # nobody else has it
    assert runs(up, "demo/plain", code="import shutil\nreturn shutil.which('figlet')") == "None"


@needs_apt
def test_packages_that_are_none(up):
    assert 'packages.txt:2: "--yes" is no name of a Debian package' in fails(up, "demo/words", **{"packages.txt": "figlet\n--yes\n"})
    assert "Unable to locate package no-such-package-here" in fails(up, "demo/nosuch", **{"packages.txt": "no-such-package-here\n"})


def test_packages_without_a_way_out(vitrine):
    v = vitrine("[build]\nuv = none\nindex = none\n")
    assert "packages.txt needs a way out" in fails(v, "demo/closed", **{"packages.txt": "figlet\n"})
    assert v.stage("demo/closed") == "BUILD_ERROR"


PACKAGE = '{"name": "x", "version": "1.0.0", "dependencies": {"is-odd": "3.0.1"}, "scripts": {"start": "node server.js"%s}}'


@needs_npm
def test_node(up):
    files = {"package.json": PACKAGE % "", "server.js": SERVER.replace("BODY", "'odd ' + require('is-odd')(3)")}
    assert runs(up, "demo/node", sdk="node", **files) == "odd true"
    before = envs(up)
    # its modules stay what they are while package.json does
    files["server.js"] = SERVER.replace("BODY", "'even ' + require('is-odd')(2)")
    assert runs(up, "demo/node", sdk="node", **files) == "even false"
    assert envs(up) == before and "is there already" in log_of(up, "demo/node")
    # without npm's start, and with nothing to install
    assert runs(up, "demo/bare", sdk="node", card="app_file: s.js\n", **{"s.js": SERVER.replace("BODY", "'bare'")}) == "bare"


@needs_npm
def test_node_that_is_built(up):
    files = {"package.json": PACKAGE % ', "build": "node build.js"', "build.js": "require('fs').writeFileSync('made.js', 'module.exports = 7')",
             "server.js": SERVER.replace("BODY", "'made ' + require('./made')")}
    assert runs(up, "demo/built", sdk="node", **files) == "made 7"


def test_static_that_is_built(up):
    card = "app_build_command: mkdir dist && sed s/NAME/world/ page.html > dist/index.html\napp_file: dist/index.html\n"
    assert runs(up, "demo/site", sdk="static", card=card, **{"page.html": "<p>hello NAME</p>"}) == "<p>hello world</p>"
    assert "nosuchtool: not found" in fails(up, "demo/tool", sdk="static", card="app_build_command: nosuchtool\napp_file: x.html\n")


def test_docker_is_refused_with_words(up):
    assert "sdk: \"docker\" is not supported by this version; use static, gradio, streamlit, python, node or command" in fails(up, "demo/docker", sdk="docker")


def test_a_build_sees_the_variables(up):
    card = "app_build_command: mkdir dist && env | sort > dist/index.html\napp_file: dist/index.html\n"
    steering = {"PIP_INDEX_URL": "http://evil.example/", "npm_config_registry": "http://evil.example/", "LD_PRELOAD": "/evil.so", "HTTPS_PROXY": "http://evil.example", "PATH": "/evil",
                "PYTHONPATH": "/evil"}
    before = runs(up, "demo/vars", sdk="static", card=card)
    assert "GREETING" not in before
    for name, value in {**steering, "GREETING": "hello world"}.items():
        assert up.cli("var", "demo/vars", "set", f"{name}={value}").returncode == 0
    assert up.cli("secret", "demo/vars", "set", "HIDDEN", input="a secret of it").returncode == 0
    assert until(lambda: "GREETING=hello world" in up.get("/", host=up.host("demo/vars")).body.decode(), 30)
    shown = up.get("/", host=up.host("demo/vars")).body.decode()
    assert "evil" not in shown and "HIDDEN" not in shown
    log = log_of(up, "demo/vars")
    assert "with the variables GREETING" in log and "without the variables HTTPS_PROXY, LD_PRELOAD, PATH" in log
    assert up.cli("var", "demo/vars", "set", "GREETING=bye").returncode == 0
    assert until(lambda: "GREETING=bye" in up.get("/", host=up.host("demo/vars")).body.decode(), 30)
