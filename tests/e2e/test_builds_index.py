"""Builds from the real package index, as the host's pip is set up: what people write, unchanged."""
import os
import shutil
import subprocess
import time

import pytest
from test_builds import builds, envs, life

GRADIO = '''
import gradio as gr

def greet(name):
    return "Hello " + name + VERSION

VERSION = "1"
demo = gr.Interface(greet, "text", "text", api_name="greet")
demo.launch()
'''
STREAMLIT = '''
import streamlit as st
VERSION = "1"
st.write("Hello", VERSION)
'''


def get_uv(folder):
    """The program, where the machine has none: from the index as well."""
    if found := shutil.which("uv"):
        return found
    subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
    subprocess.run([folder + "/bin/pip", "install", "--quiet", "--disable-pip-version-check", "uv"], check=True)
    return folder + "/bin/uv"


@pytest.mark.parametrize("sdk, version, installer, app, word", [("gradio", "6.31.0", "uv", GRADIO, b"gradio"),
                                                                ("streamlit", "1.67.0", "pip", STREAMLIT, b"streamlit")],
                         ids=["gradio", "streamlit"])
def test_an_sdk_is_installed_and_the_next_version_starts_at_once(vitrine, sdk, version, installer, app, word):
    v = vitrine(start=False)
    uv = get_uv(os.path.join(v.folder, "uv")) if installer == "uv" else "none"
    with open(v.config, "w") as f:
        f.write(f"[limits]\nmemory = 1G\n[build]\nuv = {uv}\n")
    v.start()
    card = f"title: T\nsdk: {sdk}\nsdk_version: {version}\npython_version: '3.9'\napp_file: app.py"
    folder = v.bundle("one", card=card, **{"app.py": app})
    r = v.cli("deploy", folder, "demo/sdk", timeout=500)
    log = builds(v, "demo/sdk")
    assert r.returncode == 0, r.stderr + log + v.log[-2000:]
    page = v.demo("demo/sdk")
    assert page.status == 200 and word in page.body.lower()
    assert "python_version 3.9 is not installed here; 3." in log and f"=={version}, for sdk {sdk}" in log
    assert life(v, "SELECT owner FROM envs") == [("",)]  # wheels alone: anybody's
    key = envs(v)
    folder = v.bundle("two", card=card, **{"app.py": app.replace('"1"', '"2"')})
    r = v.cli("deploy", folder, "demo/sdk", timeout=200)
    assert r.returncode == 0 and envs(v) == key, r.stderr
    accepted, started = (at for (at,) in life(v, "SELECT MAX(at_ms) FROM events WHERE event = 'upload.accepted' UNION ALL"
                                                 " SELECT MAX(at_ms) FROM events WHERE event = 'worker.start'"))
    assert 0 <= started - accepted < 1000  # nothing was built in between
    assert time.time() * 1000 - started > 0
