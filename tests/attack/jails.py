"""The sandboxes that are attacked: ours with the limits that the runner sets by default, bubblewrap as it is commonly used,
and bubblewrap made to resemble a container of Docker's with nothing but defaults."""
import os
import secrets
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sandbox"))
import rig  # noqa: E402

MIB = 1 << 20
LIMITS = {"MEMORY": 1024 * MIB, "CPU_MILLI": 1000, "PIDS": 256, "OPEN_FILES": 4096, "FILE_SIZE": 2048 * MIB, "TMP_SIZE": 256 * MIB,
          "HOME_SIZE": 512 * MIB}
SMALLER_BY = 8  # where bombs are short: so that they meet their limits all the same


def smaller_limits():
    for name in ("MEMORY", "TMP_SIZE", "HOME_SIZE"):
        LIMITS[name] //= SMALLER_BY
    LIMITS["PIDS"] //= 4


DOCKER_CAPS = ("chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write "
               "setfcap").split()
DOCKER_MASKED_FILES = "interrupts kcore keys timer_list sched_debug latency_stats timer_stats".split()
DOCKER_MASKED_FOLDERS = "/proc/acpi /proc/asound /proc/scsi /sys/firmware".split()
DOCKER_READ_ONLY = "bus fs irq sys sysrq-trigger".split()


class Ours:
    name = "vitrine"

    def __init__(self, sandbox, canaries):
        self.sandbox, self.canaries = sandbox, canaries
        self.tools, self.ro = "/mnt/tools", "/mnt/ro"
        self.popen = {}

    def argv(self, words, env, uid_index=7, mounts=()):
        limits = {"memory": "MEMORY", "pids": "PIDS", "open-files": "OPEN_FILES", "file-size": "FILE_SIZE", "tmp-size": "TMP_SIZE",
                  "home-size": "HOME_SIZE"}
        out = [self.sandbox, "run", "--uid-index", str(uid_index), "--cpu", str(LIMITS["CPU_MILLI"] / 1000),
               "--ro", f"{self.canaries.tools}:{self.tools}", "--ro", f"{self.canaries.ro}:{self.ro}"]
        for option, name in limits.items():
            out += ["--" + option, str(LIMITS[name])]
        for k, v in env.items():
            out += ["--env", f"{k}={v}"]
        return out + list(mounts) + ["--", f"{self.tools}/attempts"] + words

    def environ(self, env):
        return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


class Workers:
    """Ours as the runner has it: workers of one resident starter, which also looks after whom the CPU goes to first"""
    def __init__(self, canaries):
        self.canaries, self.tools = canaries, "/mnt/tools"
        self.starter = rig.Starter()

    def start(self, words, env, stdio, uid_index=7, mounts=()):
        w = self.starter.start([f"{self.tools}/attempts", *words], stdio=stdio, uid_index=uid_index, env=[f"{k}={v}" for k, v in env.items()],
                               mounts=[f"ro:{self.canaries.tools}:{self.tools}", *mounts], memory_bytes=LIMITS["MEMORY"], cpu_milli=LIMITS["CPU_MILLI"],
                               pids=LIMITS["PIDS"], open_files=LIMITS["OPEN_FILES"], file_size_bytes=LIMITS["FILE_SIZE"], tmp_bytes=LIMITS["TMP_SIZE"],
                               home_bytes=LIMITS["HOME_SIZE"])
        if w.started.code:
            raise SystemExit(f"attack: a worker did not start: {w.started.message}")
        return w

    def end(self, w):
        """One that has ended, or else is ended"""
        if w.alive():
            self.starter.group(w, kill=True)
            w.wait()
        self.starter.group(w, remove=1)
        w.close()
        del self.starter.workers[w.id]

    def close(self):
        self.starter.end()


class Bwrap:
    name = "bwrap"
    options = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]

    def __init__(self, canaries):
        self.canaries = canaries
        self.tools, self.ro = canaries.tools, canaries.ro
        self.popen = {}

    def argv(self, words, env, **_):
        return ["bwrap"] + self.options + ["--", f"{self.tools}/attempts"] + words

    def environ(self, env):
        return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **env}


class DockerLike(Bwrap):
    """Root of the host without a user namespace, Docker's default capabilities, filter and masks, no limits; a read-only /usr
    stands in for an image. bwrap sets no_new_privs, Docker does not: kind to the defence."""
    name = "docker-like"

    def __init__(self, canaries):
        super().__init__(canaries)
        self.tools, self.ro = "/mnt/tools", "/mnt/ro"
        self.filter = subprocess.run([canaries.program, "--docker-filter"], stdout=subprocess.PIPE, check=True).stdout

    def argv(self, words, env, **_):
        out = ["bwrap", "--as-pid-1", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts", "--hostname", "docker-like", "--tmpfs", "/",
               "--ro-bind", "/usr", "/usr"]
        for name in ("bin", "lib", "lib64", "sbin"):
            out += ["--symlink", "usr/" + name, "/" + name]
        out += ["--tmpfs", "/tmp", "--dir", "/etc", "--dir", "/run", "--dir", "/var", "--proc", "/proc", "--dev", "/dev", "--ro-bind",
                "/sys", "/sys", "--ro-bind", self.canaries.tools, self.tools, "--ro-bind", self.canaries.ro, self.ro]
        for name in DOCKER_MASKED_FILES:
            if os.path.exists("/proc/" + name):
                out += ["--ro-bind", "/dev/null", "/proc/" + name]
        for name in DOCKER_READ_ONLY:
            if os.path.exists("/proc/" + name):
                out += ["--ro-bind", "/proc/" + name, "/proc/" + name]
        for path in DOCKER_MASKED_FOLDERS:
            if os.path.isdir(path):
                out += ["--tmpfs", path]
        out += ["--cap-drop", "ALL"]
        for cap in DOCKER_CAPS:
            out += ["--cap-add", "cap_" + cap]
        fd = os.memfd_create("filter")
        os.write(fd, self.filter)
        os.lseek(fd, 0, os.SEEK_SET)
        os.set_inheritable(fd, True)
        self.popen = {"pass_fds": [fd]}
        return out + ["--seccomp", str(fd), "--", f"{self.tools}/attempts"] + words

    def started(self):
        for fd in self.popen.get("pass_fds", ()):
            os.close(fd)


class SafetyGroup:
    """Control groups (v1) around a sandbox that has no limits of its own: wide enough for a bomb to succeed, and no wider"""
    def __init__(self):
        self.folders = []
        name = "vitrine-attack-" + secrets.token_hex(4)
        for controller, limits in (("memory", {"memory.limit_in_bytes": 3 * LIMITS["MEMORY"]}), ("pids", {"pids.max": 4 * LIMITS["PIDS"]})):
            folder = f"/sys/fs/cgroup/{controller}/{name}"
            try:
                os.mkdir(folder)
                self.folders.append(folder)
                for file, value in limits.items():
                    with open(os.path.join(folder, file), "w") as f:
                        f.write(str(value))
                    if int(open(os.path.join(folder, file)).read()) != value:
                        raise OSError("not taken")
            except OSError:
                self.close()
                return

    def join(self):
        for folder in self.folders:
            with open(os.path.join(folder, "cgroup.procs"), "w") as f:
                f.write(str(os.getpid()))

    def close(self):
        for folder in self.folders:
            for _ in range(50):
                try:
                    os.rmdir(folder)
                    break
                except OSError:
                    time.sleep(0.02)
        self.folders = []


class Open:
    """No sandbox, all rights of root: shows that an attempt can succeed at all. What it could do to the machine itself is kept
    in namespaces of its own, or left out (left_out)."""
    name = "open"
    own_network = {"loopback-down", "loopback-promiscuous", "add-network-link", "bind-port-80"}
    # would change something of this machine that no namespace holds
    left_out = {"kexec-load", "process-accounting", "create-in-root", "create-in-usr", "create-in-var", "whiteout-in-usr"}
    as_nobody = {"set-uid-program"}

    def __init__(self, canaries):
        self.tools, self.ro = canaries.tools, canaries.ro
        self.popen = {}

    def argv(self, words, env, **_):
        name = words[0]
        spaces = ["--mount", "--uts"] + (["--net"] if name in self.own_network else [])
        if "-init" in name or name == "signal-everyone":
            spaces += ["--pid", "--fork", "--mount-proc"]
        set_up = 'for d in /tmp /run /etc; do mount -t tmpfs -o mode=1777 none $d || exit 9; done; "$@"; exit $?'
        drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if name in self.as_nobody else []
        return ["unshare", *spaces, "sh", "-c", set_up, "sh", *drop, f"{self.tools}/attempts", *words]

    def environ(self, env):
        return {"PATH": os.environ["PATH"], "HOME": "/", **env}
