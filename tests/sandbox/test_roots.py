"""Roots other than the host's /usr: a small tree made here, and one as images have them, with what should lead nowhere."""
import functools
import os
import re
import shutil
import stat
import subprocess

import pytest

import rig


@functools.cache
def libraries(path):
    return re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout)


def copy_program(path, root):
    """the program and the libraries that it is linked with"""
    for source in [path, *libraries(path)]:
        to = root + os.path.realpath(os.path.dirname(source)) + "/" + os.path.basename(source)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(os.path.realpath(source), to)


@pytest.fixture
def tree(folder):
    root = f"{folder}/root"
    for d in ("usr/bin", "usr/lib", "usr/lib64", "usr/local", "etc", "var/lib", "opt", "proc", "dev", "sys", "tmp"):
        os.makedirs(f"{root}/{d}")
    for name in ("bin", "lib", "lib64"):
        os.symlink(f"/usr/{name}", f"{root}/{name}")  # absolute, as some images have them
    for program in ("sh", "cat", "ls", "dd", "id", "touch", "readlink"):
        copy_program(shutil.which(program), root)
    with open(f"{root}/etc/passwd", "w") as f:
        f.write("root:x:0:0::/:/bin/sh\npostgres:x:70:70::/:/bin/sh\n")
    with open(f"{root}/opt/here", "w") as f:
        f.write("from the root\n")
    return root


def test_a_program_of_another_root(tree):
    r = rig.sh("cat /opt/here; ls /; id -u", "--root", tree)
    assert r.returncode == 0, r
    lines = r.stdout.split()
    assert r.stdout.startswith("from the root\n") and lines[-1] == "1000"
    assert {"usr", "var", "opt", "proc", "dev", "etc"} <= set(lines) and "sys" not in lines


def test_writes_are_limited_and_thrown_away(tree):
    script = """echo word >/var/word && echo word >/opt/word && cat /var/word /opt/word && echo x >/var/tmp/x
                dd if=/dev/zero of=/var/big bs=65536 count=64 2>&1; touch /usr/bin/new; echo status $?"""
    r = rig.sh(script, "--root", tree, "--root-size", "1M")
    assert r.stdout.startswith("word\nword\n") and "No space left on device" in r.stdout and "status 1" in r.stdout, r
    assert sorted(os.listdir(f"{tree}/var")) == ["lib"] and os.listdir(f"{tree}/opt") == ["here"]
    again = rig.sh("ls /var /opt", "--root", tree, "--root-size", "1M")
    assert "word" not in again.stdout and "here" in again.stdout, again


def test_inodes_of_the_layer_are_limited(tree):
    r = rig.sh("i=0; while : >/opt/$i && [ $i -lt 3000 ]; do i=$((i+1)); done; echo $i", "--root", tree, "--root-size", "64K")
    assert "No space left" in r.stderr and int(r.stdout or 0) < 1100, r


def test_without_a_layer_nothing_is_written(tree):
    r = rig.sh("for f in /x /var/x /opt/x /usr/x /usr/local/x /etc/x; do touch $f && echo wrote $f; done; true", "--root", tree, "--root-size", "0")
    assert r.stdout == "" and r.stderr.count("Read-only file system") == 6, r


def test_a_size_that_holds_nothing_is_refused(tree):
    r = rig.sh("true", "--root", tree, "--root-size", "10")
    assert r.returncode == 125 and "writable layer" in r.stderr, r


def test_what_an_image_brings_leads_nowhere(tree, folder):
    with open(f"{folder}/secret", "w") as f:
        f.write("secret of the host\n")
    os.symlink(f"../../../../../../../..{folder}/secret", f"{tree}/opt/up")
    os.symlink(f"{folder}/secret", f"{tree}/opt/absolute")
    os.symlink("/proc/1/root/etc/shadow", f"{tree}/opt/magic")
    os.makedirs(f"{tree}/proc/1", exist_ok=True)
    with open(f"{tree}/proc/1/forged", "w") as f:
        f.write("forged")
    with open(f"{tree}/dev/forged", "w") as f:
        f.write("forged")
    shutil.copy(f"{tree}/usr/bin/id", f"{tree}/usr/bin/id-as-root")
    os.chmod(f"{tree}/usr/bin/id-as-root", 0o4755)
    if rig.IS_ROOT:
        os.mknod(f"{tree}/opt/memory", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    r = rig.sh("cat /opt/up /opt/absolute /opt/magic; id-as-root -u; ls /proc/1 /dev; dd if=/opt/memory bs=1 count=1", "--root", tree)
    assert "secret" not in r.stdout and "forged" not in r.stdout, r
    assert "1000\n" in r.stdout, "a setuid program gives nothing"
    assert "/opt/memory" in r.stderr and ("Permission denied" in r.stderr or not rig.IS_ROOT), r


@pytest.mark.parametrize("name", ["usr", "tmp", "home", "dev", "proc", "run", "etc"])
def test_a_folder_that_is_a_link_out_of_the_root(tree, folder, name):
    """what the sandbox makes itself is made in the sandbox; a link for the rest is one inside"""
    if os.path.isdir(f"{tree}/{name}") and not os.path.islink(f"{tree}/{name}"):
        os.rename(f"{tree}/{name}", f"{tree}/old-{name}")
    os.symlink(folder, f"{tree}/{name}")
    with open(f"{folder}/word", "w") as f:
        f.write("of the host\n")
    before = sorted(os.listdir(folder))
    r = rig.sh(f"cat /{name}/word; :", "--root", tree)
    assert "of the host" not in r.stdout and sorted(os.listdir(folder)) == before, r


def test_a_layer_over_the_root(folder, tree):
    """Packages of one Space: beside the host's own files, in /usr and /etc, for this sandbox alone."""
    layer = f"{folder}/layer"
    for d in ("usr/bin", "etc/alternatives", "etc/own"):
        os.makedirs(f"{layer}/{d}")
    with open(f"{layer}/usr/bin/layered", "w") as f:
        f.write("#!/bin/sh\necho of the layer\n")
    os.chmod(f"{layer}/usr/bin/layered", 0o755)
    for name in ("etc/own/file", "etc/alternatives/layered"):
        with open(f"{layer}/{name}", "w") as f:
            f.write("here\n")
    script = """layered; cat /etc/own/file /etc/alternatives/layered; ls /etc/ssl/certs | head -n 1 | wc -l; cat /etc/hosts | head -n 1
                command -v sh; touch /usr/x /etc/x 2>&1; id -un; ls /etc/alternatives | wc -l"""
    over = [f"--over={layer}/usr:/usr", f"--over={layer}/etc:/etc", f"--over={layer}/etc/alternatives:/etc/alternatives"]
    r = rig.sh(script, *over)
    lines = r.stdout.splitlines()
    assert lines[:5] == ["of the layer", "here", "here", "1", "127.0.0.1 localhost sandbox"], r
    assert lines[5] == "/usr/bin/sh" and r.stdout.count("Read-only file system") == 2 and lines[-2] == "user", r
    alternatives = len(os.listdir("/etc/alternatives")) if os.path.isdir("/etc/alternatives") else 0
    assert int(lines[-1]) == alternatives + 1
    r = rig.sh("layered", "--root", tree, over[0])
    assert r.stdout == "of the layer\n", r
    assert "layered" not in rig.sh("ls /usr/bin /etc", "--root", tree).stdout
    r = rig.sh("true", f"--over={layer}/usr:/opt")
    assert r.returncode == 125 and "nothing is laid over /opt" in r.stderr, r
    r = rig.sh("true", "--rw", f"{layer}/etc:/opt/x", f"--over={layer}/usr:/opt/x")
    assert r.returncode == 125 and "nothing is laid over /opt/x" in r.stderr, r
    # ... and over a folder to read that was asked for: both are seen, neither can be written to
    r = rig.sh("cat /opt/x/own/file; /opt/x/bin/layered; touch /opt/x/new /opt/x/bin/new; ls /opt/x",
               "--ro", f"{layer}/etc:/opt/x", f"--over={layer}/usr:/opt/x")
    assert r.stdout.split("\n") == ["here", "of the layer", "alternatives", "bin", "own", ""] and r.stderr.count("Read-only file system") == 2, r
