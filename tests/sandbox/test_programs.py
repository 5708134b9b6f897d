"""Real programs, unmodified: what demos are made of, each started, used and asked for its answer inside."""
import json
import os
import shutil
import subprocess

import pytest

import rig

SITE = os.path.join(rig.BUILD, "programs")
ROOMY = ["--memory", "3G", "--pids", "512", "--tmp-size", "512M"]


def need(program):
    assert shutil.which(program, path="/usr/bin:/bin"), f"{program} is missing: .ci/deps test installs it"


def done(r, word):
    assert r.returncode == 0 and word in r.stdout, (r.returncode, r.stdout[-1500:], r.stderr[-3000:])


def built(argv, path):
    subprocess.run(argv, check=True, timeout=120, stdin=subprocess.DEVNULL,
                   env={"PATH": "/usr/bin:/bin", "HOME": os.path.dirname(path), "GOCACHE": os.path.dirname(path) + "/go", "GO111MODULE": "off"})
    return path


# ---- Python

SERVE = r'''
import json, os, subprocess, sys, time, urllib.request, urllib.error
def until(url, server, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=10).read().decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end or server.poll() is not None: raise
            time.sleep(0.05)
'''

GRADIO = SERVE + r'''
open("/tmp/app.py", "w").write("""
import gradio as gr
gr.Interface(fn=lambda name: "Hello " + name + "!", inputs="text", outputs="text", api_name="greet").launch()
""")
server = subprocess.Popen([sys.executable, "/tmp/app.py"])
base = "http://127.0.0.1:7860"
try:
    assert "gradio" in until(base + "/", server)
    body = json.dumps({"data": ["sandbox"]}).encode()
    r = urllib.request.Request(base + "/gradio_api/call/greet", body, {"Content-Type": "application/json"})
    event = json.load(urllib.request.urlopen(r, timeout=20))["event_id"]
    print(urllib.request.urlopen(base + "/gradio_api/call/greet/" + event, timeout=20).read().decode())
finally:
    server.terminate(); server.wait()
'''

STREAMLIT = SERVE + r'''
import base64, socket
open("/tmp/app.py", "w").write("import streamlit as st, numpy as np\nst.write('Hello')\nst.line_chart(np.arange(9))\n")
server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", "/tmp/app.py", "--server.headless", "true", "--server.port", "8501",
                           "--browser.gatherUsageStats", "false"])
try:
    assert until("http://127.0.0.1:8501/_stcore/health", server) == "ok"
    assert "Streamlit" in until("http://127.0.0.1:8501/", server)
    s = socket.create_connection(("127.0.0.1", 8501), 20)
    s.sendall(b"GET /_stcore/stream HTTP/1.1\r\nHost: 127.0.0.1:8501\r\nOrigin: http://127.0.0.1:8501\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n")
    print(s.recv(4096).decode(errors="replace").splitlines()[0])
finally:
    server.terminate(); server.wait()
'''


@pytest.mark.parametrize("script, word", [(GRADIO, "Hello sandbox!"), (STREAMLIT, " 101 ")], ids=["gradio", "streamlit"])
def test_python_servers_from_pip(script, word):
    assert os.path.isdir(SITE), f"{SITE} is missing: make programs"
    done(rig.python(script, *ROOMY, "--ro", SITE + ":/opt/site-packages", "--env", "PYTHONPATH=/opt/site-packages", "--env", "GRADIO_SERVER_NAME=0.0.0.0",
                    "--env", "GRADIO_ANALYTICS_ENABLED=False", timeout=120), word)


def test_torch():
    done(rig.python(r'''
import torch
torch.manual_seed(1); torch.set_num_threads(2)
assert torch.get_num_threads() == 2
net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 30 * 30, 10)).eval()
with torch.no_grad(): y = net(torch.rand(16, 3, 32, 32)).softmax(1)
traced = torch.jit.trace(net, torch.rand(1, 3, 32, 32)); traced.save("/tmp/net.pt")
print(tuple(y.shape), round(float(y.sum())), tuple(torch.jit.load("/tmp/net.pt")(torch.rand(2, 3, 32, 32)).shape))
''', *ROOMY, timeout=60), "(16, 10) 16 (2, 10)")


def test_numpy_sklearn_and_many_processes():
    done(rig.python(r'''
import numpy as np, multiprocessing as mp
from multiprocessing import shared_memory
from joblib import Parallel, delayed
from sklearn.ensemble import RandomForestClassifier
from sklearn.datasets import make_classification
X, y = make_classification(300, random_state=0)
score = RandomForestClassifier(20, n_jobs=2, random_state=0).fit(X, y).score(X, y)
if __name__ == "__main__":
    m = shared_memory.SharedMemory(create=True, size=4096); m.buf[0] = 7; m.close(); m.unlink()
    with mp.Pool(2) as pool: squares = pool.map(abs, range(-4, 0))
    print(score > 0.9, squares, Parallel(n_jobs=2)(delayed(pow)(i, 2) for i in range(4)), np.linalg.svd(np.eye(64))[1].sum())
''', *ROOMY, timeout=60), "True [4, 3, 2, 1] [0, 1, 4, 9] 64.0")


def test_asyncio_and_sqlite():
    done(rig.python(r'''
import asyncio, sqlite3, threading
async def main():
    p = await asyncio.create_subprocess_exec("/bin/echo", "child", stdout=-1)
    return (await p.communicate())[0].strip().decode()
db = sqlite3.connect("/tmp/x.db"); mode = db.execute("pragma journal_mode=wal").fetchone()[0]
db.execute("create table t(x)"); db.commit()
def add():
    c = sqlite3.connect("/tmp/x.db", timeout=20)
    for i in range(20):
        with c: c.execute("insert into t values(?)", (i,))
ts = [threading.Thread(target=add) for _ in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
print(asyncio.run(main()), mode, db.execute("select count(*) from t").fetchone()[0])
'''), "child wal 80")


# ---- others

def test_node():
    need("node")
    done(rig.run(*ROOMY, "--", "/usr/bin/node", "-e", r'''
const {Worker} = require("worker_threads"), http = require("http"), {execFile} = require("child_process"), fs = require("fs");
const w = new Worker(`require("worker_threads").parentPort.postMessage(6 * 7)`, {eval: true});
w.on("message", n => { const s = http.createServer((q, r) => r.end("served " + n)).listen(0, "127.0.0.1", () =>
  http.get({host: "127.0.0.1", port: s.address().port}, r => { r.on("data", d => execFile("/bin/echo", ["child"], async (e, out) => {
    await fs.promises.writeFile("/tmp/x", "x"); console.log(d.toString(), out.trim()); s.close(); })); })); });
''', timeout=60), "served 42 child")


GO = r'''
package main

import ("fmt"; "io"; "net"; "net/http"; "os/exec"; "sync")

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { panic(err) }
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "served") }))
	var wait sync.WaitGroup
	var mutex sync.Mutex
	n := 0
	for i := 0; i < 100; i++ {
		wait.Add(1)
		go func() { defer wait.Done()
			r, err := http.Get("http://" + l.Addr().String())
			if err != nil { panic(err) }
			b, _ := io.ReadAll(r.Body); r.Body.Close()
			mutex.Lock(); n += len(b); mutex.Unlock() }()
	}
	wait.Wait()
	out, err := exec.Command("/bin/echo", "child").Output()
	fmt.Println(n, string(out), err)
}
'''
RUST = r'''
use std::io::{Read, Write};
fn main() {
    let l = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let a = l.local_addr().unwrap();
    let t = std::thread::spawn(move || { let (mut s, _) = l.accept().unwrap(); s.write_all(b"served").unwrap(); });
    let mut text = String::new();
    std::net::TcpStream::connect(a).unwrap().read_to_string(&mut text).unwrap();
    t.join().unwrap();
    let out = std::process::Command::new("/bin/echo").arg("child").output().unwrap();
    println!("{} {}", text, String::from_utf8_lossy(&out.stdout));
}
'''
C = r'''
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
static struct sockaddr_in a = {.sin_family = AF_INET};
static void *client(void *arg)
{
    char text[16] = "";
    int s = socket(AF_INET, SOCK_STREAM, 0);
    connect(s, (void *)&a, sizeof a);
    *(int *)arg = (int)recv(s, text, sizeof text, MSG_WAITALL);
    close(s);
    return NULL;
}
int main(void)
{
    enum { N = 8 };
    pthread_t t[N];
    int got[N], sum = 0, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), e = epoll_create1(0);
    socklen_t len = sizeof a;
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    bind(l, (void *)&a, sizeof a), listen(l, N), getsockname(l, (void *)&a, &len);
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
    for (int i = 0; i < N; i++)
        pthread_create(&t[i], NULL, client, &got[i]);
    for (int n = 0; n < N && epoll_wait(e, &ev, 1, 5000) == 1;)
        for (int s; (s = accept4(l, NULL, NULL, SOCK_CLOEXEC)) >= 0; n++)
            write(s, "served", 6), close(s);
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL), sum += got[i];
    printf("served %d\n", sum);
}
'''


@pytest.mark.parametrize("source, compiler, name, word", [
    (GO, ["go", "build", "-o"], "x.go", "600 child"),
    (RUST, ["rustc", "-o"], "x.rs", "served child"),
    (C, ["gcc", "-pthread", "-w", "-o"], "x.c", "served 48")], ids=["go", "rust", "c"])
def test_compiled_servers(folder, source, compiler, name, word):
    need(compiler[0])
    open(os.path.join(folder, name), "w").write(source)
    built(["/usr/bin/" + compiler[0], *compiler[1:], folder + "/x", os.path.join(folder, name)], folder + "/x")
    done(rig.run("--ro", folder + ":/opt/x", "--", "/opt/x/x"), word)


def test_git():
    need("git")
    done(rig.sh(r'''
set -e
git config --global user.email a@b.c; git config --global user.name n
git init -q a; cd a; for i in 1 2 3; do echo $i >f; git add f; git commit -qm $i; done
git gc -q; git fsck --strict; cd ..; git clone -q a b; git -C b log --oneline | wc -l; git -C b checkout -q -b x; git -C a fetch -q ../b x && echo fetched
'''), "3\nfetched")


def test_ffmpeg(folder):
    need("ffmpeg")
    done(rig.sh("ffmpeg -v error -f lavfi -i testsrc=d=1:s=160x120 -f lavfi -i sine=d=1 -c:v libx264 -c:a aac -threads 2 /tmp/x.mp4 && "
                "ffprobe -v error -of json -show_entries stream=codec_name /tmp/x.mp4 | tr -d ' \\n'", *ROOMY, timeout=60),
         json.dumps({"programs": [], "streams": [{"codec_name": "h264"}, {"codec_name": "aac"}]}, separators=(",", ":")))
