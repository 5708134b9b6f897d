#!/usr/bin/python3
"""A stand-in for `vitrine-sandbox starter` that isolates nothing: so that the runner can be tested by itself,
as any user, and with failures that a real sandbox does not have. Beside it, files steer it:
fail-start (its text becomes the reason of every failed start, fail-code its errno), no-limits (a machine
without control groups), stuck (starts are swallowed), oom (workers
report an out-of-memory kill)."""
import ctypes
import errno
import os
import selectors
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, open(os.path.join(HERE, "wire-path")).read().strip())
import wire  # noqa: E402

E = wire.ENUM


def path_here(name):
    return os.path.join(HERE, name)


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Init:
    """PID 1 of a worker: the demo's parent, its log, and the giver of sockets."""

    def __init__(self, start, fds):
        self.start, self.listener, self.parts, self.exit_fd = start, socket.socket(fileno=fds[0]), fds[1:3], fds[3]
        self.stdio = fds[4:7]
        self.listener.setblocking(True)
        self.sel, self.controls, self.deadline = selectors.DefaultSelector(), [], None
        self.stopping = False

    def spawn(self):
        def real(s):
            s = s.replace("/home/user/app", self.start.app).replace("/run/vitrine/", HERE + "/")
            for m in wire.strings(self.start.mounts):
                _, src, dst = m.split(":")
                s = src if s == dst else s
            return s
        argv = [real(a) for a in wire.strings(self.start.argv)]
        env = dict(e.split("=", 1) for e in wire.strings(self.start.env))
        env["TMPDIR"] = HERE  # which goes with the test; a sandbox has a /tmp of its own
        cwd = real(self.start.cwd)
        if self.stdio:
            kw = dict(stdin=self.stdio[0], stdout=self.stdio[1], stderr=self.stdio[2])
        else:
            self.log_r, log_w = os.pipe()
            kw = dict(stdin=subprocess.DEVNULL, stdout=log_w, stderr=log_w)
        # a pid namespace would end it together with us
        self.demo = subprocess.Popen(argv, env=env, cwd=cwd, preexec_fn=end_with_parent, **kw)
        if self.stdio:
            for fd in self.stdio:
                os.close(fd)
        else:
            os.close(log_w)
            self.sel.register(self.log_r, selectors.EVENT_READ, self.log)
        self.pidfd = os.pidfd_open(self.demo.pid)
        self.sel.register(self.pidfd, selectors.EVENT_READ, self.demo_gone)

    def log(self):
        data = os.read(self.log_r, 65536)
        if not data:
            self.sel.unregister(self.log_r)
        for line in data.decode().splitlines():
            os.write(self.parts[0], f"2026-11-23T06:28:00.123Z {line}\n".encode())

    def demo_gone(self):
        code = self.demo.wait()
        if self.stopping:
            self.finish("stopped", 0, 0)
        elif code < 0:
            self.finish("signaled", 0, -code)
        else:
            self.finish("exited", code, 0)

    def finish(self, word, status, signo):
        os.write(self.exit_fd, f"{word} {status} {signo}\n".encode())
        for c in self.controls:
            try:
                wire.send(c, "INIT_EXIT", reason=E["EXIT_" + word.upper()], status=status, signal=signo)
            except OSError:
                pass
        os._exit(0)

    def accept(self):
        c, _ = self.listener.accept()
        hello = wire.receive(c)
        if hello is None:
            return
        if hello.role == E["HELLO_CONTROL"]:
            self.controls.append(c)
            try:
                wire.send(c, "INIT_STATE", worker_id=self.start.worker_id, state=E["INIT_RUNNING"])
            except OSError:
                pass
            self.sel.register(c, selectors.EVENT_READ, lambda: self.control(c))
        else:
            self.sel.register(c, selectors.EVENT_READ, lambda: self.dial(c))

    def dial(self, c):
        m = wire.receive(c)
        if m is None:
            self.sel.unregister(c)
            c.close()
            return
        sockets = [socket.socket() for _ in range(m.count)]
        try:
            wire.send(c, "DIALED", fds=[s.fileno() for s in sockets], count=m.count)
        except OSError:
            pass

    def control(self, c):
        m = wire.receive(c)
        if m is None:
            self.sel.unregister(c)
            self.controls.remove(c)
        elif m.type == "INIT_STOP":
            self.stopping = True
            self.demo.terminate()
            signal.signal(signal.SIGALRM, lambda *_: self.demo.kill())
            signal.setitimer(signal.ITIMER_REAL, max(m.grace_ms, 1) / 1000)
        elif m.type == "INIT_STATS_ASK":
            wire.send(c, "INIT_STATS", memory_bytes=4096, cpu_us=7, pids=1)

    def run(self):
        self.sel.register(self.listener, selectors.EVENT_READ, self.accept)
        self.spawn()
        while True:
            for key, _ in self.sel.select():
                key.data()


def main():
    sock = socket.socket(fileno=os.dup(3))
    os.close(3)
    sock.setblocking(True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    groups = {}
    while True:
        m = wire.receive(sock)
        if m is None:
            return
        if m.type == "START":
            if os.path.exists(path_here("stuck")):
                m.close()
                continue
            if os.path.exists(path_here("fail-start")):
                code = int(open(path_here("fail-code")).read()) if os.path.exists(path_here("fail-code")) else 5
                wire.send(sock, "STARTED", start_id=m.start_id, code=code, message=open(path_here("fail-start")).read())
                m.close()
                continue
            if os.path.exists(path_here("no-limits")) and m.flags & E["START_NEED_LIMITS"]:
                wire.send(sock, "STARTED", start_id=m.start_id, code=errno.ENOTSUP, message="no control group limits it")
                m.close()
                continue
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()
                sock.close()
                Init(m, m.fds).run()
            groups[m.worker_id] = pid
            pidfd = os.pidfd_open(pid)
            try:
                wire.send(sock, "STARTED", fds=[pidfd], start_id=m.start_id, pid=pid)
            except OSError:
                pass
            os.close(pidfd)
            m.close()
        else:
            if m.type == "GROUP_KILL" and m.worker_id in groups:
                try:
                    os.killpg(groups[m.worker_id], signal.SIGKILL)
                except ProcessLookupError:
                    pass
            oom = m.type == "GROUP_ASK" and m.remove and os.path.exists(path_here("oom"))
            wire.send(sock, "GROUP_STAT", worker_id=m.worker_id, valid=int(oom), oom_kills=int(oom))


if __name__ == "__main__":
    main()
