"""Wheels and source packages that a test makes itself, and Spaces that ask for them: no index is needed."""
import base64
import hashlib
import io
import os
import shutil
import tarfile
import zipfile

SERVE = '''
import http.server, os, sys
MESSAGE = None
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        body = str(answer()).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
def serve(): http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
'''


def app(code):
    """An app.py whose page is what the expression gives."""
    return SERVE + "\ndef answer():\n" + "".join("    " + line + "\n" for line in code.splitlines()) + "\nserve()\n"


def wheel(folder, name, version="1.0", files=None, requires=(), pad=0):
    """A pure wheel; its module says VERSION."""
    files = dict(files or {f"{name}/__init__.py": f"VERSION = {version!r}\n"})
    if pad:
        files[f"{name}/pad.bin"] = os.urandom(pad)
    info = f"{name}-{version}.dist-info"
    meta = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {r}\n" for r in requires)
    files[f"{info}/METADATA"] = meta
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    path = os.path.join(folder, f"{name}-{version}-py3-none-any.whl")
    with zipfile.ZipFile(path, "w") as z:
        for n, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{n},sha256={digest},{len(data)}\n"
            z.writestr(zipfile.ZipInfo(n, (2024, 1, 1, 0, 0, 0)), data)
        z.writestr(zipfile.ZipInfo(f"{info}/RECORD", (2024, 1, 1, 0, 0, 0)), record + f"{info}/RECORD,,\n")
    os.chmod(path, 0o644)
    return path


BACKEND = '''
import os, zipfile
%s
def wheel_name(): return "{name}-{version}-py3-none-any.whl"
def get_requires_for_build_wheel(config=None): return []
def prepare_metadata_for_build_wheel(folder, config=None):
    info = os.path.join(folder, "{name}-{version}.dist-info"); os.makedirs(info)
    open(os.path.join(info, "METADATA"), "w").write("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    open(os.path.join(info, "WHEEL"), "w").write("Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    return os.path.basename(info)
def build_wheel(folder, config=None, metadata=None):
    with zipfile.ZipFile(os.path.join(folder, wheel_name()), "w") as z:
        i = "{name}-{version}.dist-info/"
        z.writestr("{name}/__init__.py", "VERSION = '{version}'\\nFROM = 'source'\\n")
        z.writestr(i + "METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        z.writestr(i + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        z.writestr(i + "RECORD", "")
    return wheel_name()
'''


def sdist(folder, name, version="1.0", code=""):
    """A source package that brings the backend that builds it; `code` is run whenever that is."""
    files = {"pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
             "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
             "backend.py": BACKEND.replace("{name}", name).replace("{version}", version).replace("%s", code)}
    path = os.path.join(folder, f"{name}-{version}.tar.gz")
    with tarfile.open(path, "w:gz") as t:
        for n, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{n}")
            info.size = len(text.encode())
            t.addfile(info, io.BytesIO(text.encode()))
    os.chmod(path, 0o644)
    return path


def bundle(folder, code, requirements=None, card="", sdk="python", **files):
    """A Space's folder; card: more lines of its front matter."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    everything = {"README.md": f"---\ntitle: T\nsdk: {sdk}\n{card}---\n", "app.py": app(code), **files}
    if requirements is not None:
        everything["requirements.txt"] = requirements
    for name, text in everything.items():
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
    return folder
