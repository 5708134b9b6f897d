"""Compiles the Python files of an environment into a folder that is laid over it (runner/bytecode.c).

Runs isolated (-I -S) in a sandbox: the files are read, and nothing of them is run. What cannot be compiled (templates,
other Pythons' files) has none; once the compiled ones take the bytes of the first argument, the rest have none."""
import os
import py_compile
import stat
import sys

FROM, TO = "/run/vitrine/env", "/run/vitrine/bytecode"


def main():
    left = int(sys.argv[1])
    tag = "." + sys.implementation.cache_tag + ".pyc"
    os.umask(0o022)
    for folder, folders, files in os.walk(FROM + "/lib"):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
        for name in files:
            path, cached = os.path.join(folder, name), os.path.join("__pycache__", name[:-3] + tag)
            if not name.endswith(".py") or not stat.S_ISREG(os.lstat(path).st_mode) or os.path.exists(os.path.join(folder, cached)):
                continue
            try:
                left -= os.path.getsize(py_compile.compile(path, TO + os.path.join(folder, cached)[len(FROM):], doraise=True))
            except py_compile.PyCompileError:
                continue
            if left < 0:
                return


main()
