"""Counters from a visitor's request to Prometheus, and over the death of a gateway."""
import os
import signal

from vitrine import until


def metrics(v):
    a = v.get("/metrics", headers={"Authorization": f"Bearer {v.token}"})
    assert a.status == 200, a.body
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in a.body.decode().splitlines() if line[0] != "#"}


def test_from_end_to_end(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    ok = 'vitrine_requests_total{space="demo/probe",code="2xx"}'
    assert v.demo("demo/probe").status == 200
    before = until(lambda: (g := metrics(v)).get(ok) and g, 5)
    assert before[ok] == 1 and before["vitrine_workers"] == 1
    assert before['vitrine_request_duration_seconds_count{space="demo/probe"}'] == 1
    assert v.get("/metrics").status == 401
    gateway = next(int(p) for p in os.listdir("/proc") if p.isdigit() and is_gateway(p, v.up.pid))
    os.kill(gateway, signal.SIGKILL)
    assert v.demo("demo/probe").status == 200
    after = until(lambda: g if (g := metrics(v))[ok] == 2 else None, 5)
    assert after and all(after[k] >= n for k, n in before.items() if "total" in k or "bucket" in k)


def is_gateway(pid, parent):
    try:
        stat = open(f"/proc/{pid}/stat").read()
    except OSError:
        return False
    return "(vitrine-gateway)" in stat and int(stat.rsplit(")", 1)[1].split()[1]) == parent
