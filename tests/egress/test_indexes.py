"""runner/static/indexes.py: where packages come from, as pip, uv, npm and netrc of a machine are set up; logins are the
proxy's alone."""
import base64
import os
import subprocess
import sys

import pytest

from rig import ROOT

SCRIPT = os.path.join(ROOT, "runner/static/indexes.py")


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.fixture
def read(tmp_path):
    """Files of a home, and variables -> (policy lines, environment of builds, other lines)"""
    def run(files=None, **env):
        for name, text in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        p = subprocess.run([sys.executable, "-I", SCRIPT], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, check=True)
        lines = p.stdout.splitlines()
        policy = [line[7:] for line in lines if line.startswith("policy ")]
        builds = dict(line[4:].split("=", 1) for line in lines if line.startswith("env "))
        rest = [line for line in lines if not line.startswith(("policy ", "env "))]
        assert p.stderr == ""
        return policy, builds, rest
    return run


def test_nothing_is_set_up(read):
    policy, env, _ = read()
    assert env["PIP_INDEX_URL"] == env["UV_DEFAULT_INDEX"] == "https://pypi.org/simple"
    assert env["npm_config_registry"] == "https://registry.npmjs.org/"
    # what is everybody's default may not be inside
    assert "allow pypi.org 443" in policy and "allow registry.npmjs.org 443" in policy
    assert not any(line.startswith("login") for line in policy)


def test_logins_stay_with_the_proxy(read):
    policy, env, rest = read({
        ".config/pip/pip.conf": "[global]\nindex-url = https://reader:p%40ss@pypi.corp/simple\nextra-index-url =\n  https://a.corp:8443/x\n  http://plain.corp/y\n",
        ".netrc": "machine a.corp login n password secret-n\n",
        ".npmrc": "registry=https://npm.corp/r/\n//npm.corp/r/:_authToken=secret-t\n@own:registry=https://own.corp/\n//own.corp/:_auth=c2VjcmV0LW8=\n",
    })
    assert env["PIP_INDEX_URL"] == "http://pypi.corp/simple"
    assert env["PIP_EXTRA_INDEX_URL"] == "http://a.corp:8443/x http://plain.corp/y"
    assert set(env["PIP_TRUSTED_HOST"].split()) == {"pypi.corp", "a.corp:8443", "plain.corp"}
    assert env["UV_DEFAULT_INDEX"] == "http://pypi.corp/simple" and env["UV_INDEX"] == env["PIP_EXTRA_INDEX_URL"]
    assert env["npm_config_registry"] == "http://npm.corp/r/" and env["npm_config_@own:registry"] == "http://own.corp/"
    assert f"login https pypi.corp 443 {basic('reader:p@ss')}" in policy
    assert f"login https a.corp 8443 {basic('n:secret-n')}" in policy
    assert "login https npm.corp 443 Bearer secret-t" in policy and "login https own.corp 443 Basic c2VjcmV0LW8=" in policy
    assert "allow pypi.corp 443 inside" in policy and "allow a.corp 443,8443 inside" in policy and "allow plain.corp 80 inside" in policy
    told = " ".join(f"{k}={v}" for k, v in env.items()) + " ".join(rest)
    assert not any(word in told for word in ("p%40ss", "p@ss", "secret", "reader", "c2Vj"))


def test_uv_has_its_own(read):
    policy, env, _ = read({".config/uv/uv.toml": '[[index]]\nname = "in-house"\nurl = "https://uv.corp/simple"\ndefault = true\n[[index]]\nurl = "https://two.corp/s"\n'},
                          UV_INDEX_IN_HOUSE_USERNAME="u", UV_INDEX_IN_HOUSE_PASSWORD="secret-u", UV_INDEX="https://three.corp/s", PIP_INDEX_URL="https://pip.corp/s")
    assert env["UV_DEFAULT_INDEX"] == "http://uv.corp/simple" and env["UV_INDEX"] == "https://two.corp/s https://three.corp/s"
    assert env["PIP_INDEX_URL"] == "https://pip.corp/s"
    assert f"login https uv.corp 443 {basic('u:secret-u')}" in policy and not any("uv.corp" in v and "secret" in v for v in env.values())


def test_the_operators_index_comes_first(read):
    policy, env, _ = read({".config/pip/pip.conf": "[global]\nextra-index-url = https://x.corp/y\n"}, VITRINE_BUILD_INDEX="https://u:w@mine.corp/s", UV_DEFAULT_INDEX="https://other/s")
    assert env["PIP_INDEX_URL"] == env["UV_DEFAULT_INDEX"] == "http://mine.corp/s" and "PIP_EXTRA_INDEX_URL" not in env
    assert f"login https mine.corp 443 {basic('u:w')}" in policy


def test_proxies(read):
    policy, _, rest = read(http_proxy="http://u:p%20w@proxy.corp:3128", HTTPS_PROXY="proxy.corp:8080", no_proxy="corp, .x ,localhost")
    assert f"proxy http proxy.corp 3128 {basic('u:p w')}" in policy and "proxy https proxy.corp 8080" in policy
    assert "no_proxy corp,.x,localhost" in policy
    policy, _, rest = read(https_proxy="socks5://u:secret@proxy.corp:1080")
    assert not any(line.startswith("proxy") for line in policy)
    assert any(line.startswith("warning https_proxy: ") and "secret" not in line for line in rest)


def test_what_cannot_be_read_is_said(read):
    policy, env, rest = read({".config/pip/pip.conf": "[global\nx", ".config/uv/uv.toml": "= [", ".netrc": "machine\n  x y z", ".npmrc": "registry=http://[broken\n"},
                             PIP_EXTRA_INDEX_URL="https://[x file:///etc ftp://a.b/ https://ok.corp/s")
    assert env["PIP_INDEX_URL"] == "https://pypi.org/simple" and env["PIP_EXTRA_INDEX_URL"] == "https://ok.corp/s"
    assert sum(line.startswith("warning ") for line in rest) >= 2
    assert all("\n" not in line for line in policy)
