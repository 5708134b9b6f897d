"""The virtual machine's disk: a root file system of Debian 12 as its packages have it, from the files that they have
installed on this machine; and its initramfs, which brings the modules to mount it, and Vitrine and its tests."""
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile

# With all that they depend on.
PACKAGES = """base-files base-passwd bash ca-certificates coreutils curl dash debianutils e2fsprogs findutils grep hostname iproute2 kmod libc-bin
git libnss-myhostname login mawk mount netbase passwd procps python3 python3-pytest sed slirp4netns systemd uidmap util-linux xfsprogs zstd""".split()
# More for a bench: its disk is another one.
FOR_BENCHES = "haproxy nginx python3-cryptography".split()
LEFT_OUT = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/", "/usr/share/lintian/", "/usr/include/", "/usr/share/bash-completion/")
# What their scripts have made on this machine.
MADE = ["/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/alternatives", "/etc/ssl/certs"]
ETC = {"hosts": "127.0.0.1 localhost\n::1 localhost\n", "hostname": "vm\n", "resolv.conf": "nameserver 127.0.0.1\n", "fstab": "",
       "machine-id": "5" * 32 + "\n", "localtime": None}
NEEDED_TO_BOOT = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p", "overlay"]
SBIN = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C"}


def installed():
    """{package: what it depends on, as lists of alternatives}, {name: package that stands for it}, {package: version}"""
    needs, provider, version = {}, {}, {}
    text = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Version}\t${Provides}\t${Pre-Depends}, ${Depends}\n"],
                          check=True, capture_output=True, text=True, env=SBIN).stdout
    for line in text.splitlines():
        status, name, version_, provides, depends = line.split("\t")
        if not status.startswith("ii"):
            continue
        version[name] = version_
        provider.setdefault(name, name)
        for word in filter(None, (p.split("(")[0].strip() for p in provides.split(","))):
            provider.setdefault(word, name)
        needs[name] = [[a.split("(")[0].split(":")[0].strip() for a in group.split("|")] for group in depends.split(",") if group.strip()]
    return needs, provider, version


def closure(packages):
    """{package: version} of these and of all that they depend on"""
    needs, provider, version = installed()
    found, todo = {}, list(packages)
    while todo:
        name = provider.get(todo.pop())
        if name and name not in found:
            found[name] = version[name]
            todo += [a for group in needs[name] for a in group if a in provider][:1000]
    missing = [p for p in packages if p not in found]
    if missing:
        raise SystemExit("vm: not installed: " + " ".join(missing))
    return found


def in_usr(path):
    """Where it really lies: /bin/sh is /usr/bin/sh"""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def files_of(packages, programs):
    listed = subprocess.run(["dpkg-query", "-L", *packages], check=True, capture_output=True, text=True, env=SBIN).stdout
    files = {in_usr(p) for p in listed.splitlines() if p.startswith("/")}
    # compiled beside their sources when they were installed
    files |= {c for folder in {os.path.dirname(f) for f in files if f.endswith(".py")} for c in glob.glob(folder + "/__pycache__/*.pyc")}
    for line in subprocess.run(["ldd", *programs], capture_output=True, text=True, env=SBIN).stdout.splitlines():
        if "=> /" in line:
            library = in_usr(line.split("=>")[1].split()[0])
            files |= {library, os.path.realpath(library)}
    for made in MADE:
        files |= {made, *(os.path.join(d, n) for d, _, names in os.walk(made) for n in names)}
    for folder in ("/usr/bin", "/usr/sbin"):  # by update-alternatives
        files |= {e.path for e in os.scandir(folder) if e.is_symlink() and os.readlink(e.path).startswith("/etc/alternatives/")}
    return {f for f in files if not f.startswith(LEFT_OUT)}


def stage(files, folder):
    for name in ("bin", "lib", "lib64", "sbin"):
        os.symlink("usr/" + name, f"{folder}/{name}")
    for name in "dev etc/systemd/system home mnt proc root run sys tmp usr/bin usr/lib usr/lib64 usr/local/bin usr/sbin var/lib var/log var/tmp".split():
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    for path in sorted(files):
        to = folder + path
        if os.path.islink(path):
            os.makedirs(os.path.dirname(to), exist_ok=True)
            os.path.lexists(to) or os.symlink(os.readlink(path), to)
        elif os.path.isfile(path) and os.access(path, os.R_OK):
            os.makedirs(os.path.dirname(to), exist_ok=True)
            os.path.lexists(to) or shutil.copy2(path, to)
    for kind in ("passwd", "group"):
        shutil.copy(f"/usr/share/base-passwd/{kind}.master", f"{folder}/etc/{kind}")
    for name, text in ETC.items():
        if os.path.lexists(f"{folder}/etc/{name}"):
            os.unlink(f"{folder}/etc/{name}")
        if text is not None:
            with open(f"{folder}/etc/{name}", "w") as f:
                f.write(text)


def root_disk(vm, kernel, programs, bench=False):
    """The disk's file; kept for the next run"""
    packages, name = closure(PACKAGES + (FOR_BENCHES if bench else [])), "bench" if bench else "root"
    with open(__file__) as f:
        key = hashlib.sha256(repr((sorted(packages.items()), kernel, f.read())).encode()).hexdigest()[:16]
    path = f"{vm}/{name}-{key}.ext4"
    if os.path.exists(path):
        return path
    for old in glob.glob(f"{vm}/{name}-*"):
        os.unlink(old)
    print("vm: making its disk", flush=True)
    with tempfile.TemporaryDirectory(dir=vm) as tmp:
        os.chmod(tmp, 0o755)
        stage(files_of(packages, programs), tmp)
        shutil.copytree(glob.glob(f"{kernel}/lib/modules/*")[0], f"{tmp}/usr/lib/modules/" + os.listdir(f"{kernel}/lib/modules")[0], symlinks=True)
        # as an ordinary user everything belongs to that user, who plays root to the one who copies it
        as_root = [] if os.getuid() == 0 else ["unshare", "--map-root-user"]
        subprocess.run([*as_root, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-d", tmp, path + ".new", "2G"], stdout=subprocess.DEVNULL,
                       check=True, env=SBIN)
    os.rename(path + ".new", path)
    return path


def modules_in_order(modules):
    """NEEDED_TO_BOOT and what they depend on, each after what it needs"""
    needs = {}
    with open(f"{modules}/modules.dep") as f:
        for line in f:
            path, rest = line.strip().split(":")
            needs[os.path.basename(path)[:-3].replace("-", "_")] = [path, *rest.split()]
    order = []
    for name in NEEDED_TO_BOOT:
        order += [p for p in reversed(needs.get(name, [])) if p not in order]
    return order


def initramfs(vm, kernel, root, build, bench=False):
    """bench: with the benches and their tools, which have been compiled, and without the attacks"""
    path, modules = f"{vm}/initramfs", glob.glob(f"{kernel}/lib/modules/*")[0]
    with tempfile.TemporaryDirectory(dir=vm) as tmp:
        for folder in ("bin", "modules", "proc", "dev", "mnt/tree", "mnt/programs"):
            os.makedirs(f"{tmp}/{folder}")
        order = modules_in_order(modules)
        for module in order:
            shutil.copy(f"{modules}/{module}", f"{tmp}/modules/")
        with open(f"{tmp}/modules/order", "w") as f:
            f.writelines(os.path.basename(m) + "\n" for m in order)
        shutil.copy(shutil.which("busybox", path=SBIN["PATH"]), f"{tmp}/bin/busybox")
        for name in "sh cat chmod chown cp insmod mkdir mknod mount switch_root umount".split():
            os.symlink("busybox", f"{tmp}/bin/{name}")
        shutil.copy(f"{root}/tests/vm/init", f"{tmp}/init")
        os.chmod(f"{tmp}/init", 0o755)
        for folder in ("common", "sandbox", "share", "tests"):
            shutil.copytree(f"{root}/{folder}", f"{tmp}/mnt/tree/{folder}", symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__", "fuzz", "browser", "unit", *([] if bench else ["bench"])))
        for program in [*glob.glob(f"{build}/vitrine"), *glob.glob(f"{build}/vitrine-*")]:
            shutil.copy(program, f"{tmp}/mnt/programs/")
        if bench:
            shutil.copytree(f"{build}/bench", f"{tmp}/mnt/programs/bench", ignore=shutil.ignore_patterns("*.json"))
        else:
            shutil.copytree(f"{build}/attack", f"{tmp}/mnt/programs/attack")
        names = "\n".join(os.path.relpath(os.path.join(d, n), tmp) for d, folders, files in os.walk(tmp) for n in folders + files)
        with open(path, "wb") as f:
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=tmp, input=names.encode(), stdout=f, check=True)
    return path
