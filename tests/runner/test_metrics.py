"""What the gateways counted, as Prometheus reads it."""
import os
import re
import struct

from rig import until

NUMBERS = 6 + 3 + 32 + 2


def counts(requests=(0,) * 6, more=()):
    v = list(requests) + list(more)
    return struct.pack(f"<{NUMBERS}Q", *(v + [0] * (NUMBERS - len(v))))


def ask(r):
    """{sample: value}"""
    mark = r.webui.mark()
    r.webui.send("METRICS_ASK", request_id=mark + 1)
    m = r.webui.wait("METRICS", since=mark, request_id=mark + 1)
    assert m.code == 0 and len(m.fds) == 1
    text = os.pread(m.fds[0], 1 << 24, 0).decode()
    m.close()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) vitrine_\w+ .+|vitrine_\w+(\{(\w+="([^"\\]|\\["\\n])*",?)+\})? \d+(\.\d+)?', line), line
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))  # each family once, all of it together
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


def test_counters_outlive_gateways(rig):
    r = rig()
    assert set(ask(r)) == {"vitrine_workers", "vitrine_connections", "vitrine_connections_total", "vitrine_connections_turned_away_total",
                           "vitrine_requests_held", "vitrine_gpus", "vitrine_gpus_taken"} and not any(ask(r).values())
    r.gateway.send("GATEWAY_STAT", accepted=9, turned_away=2, connections=4, held=3)
    r.gateway.send("GATEWAY_STAT", accepted=1, turned_away=0, connections=5, held=0)
    got = until(lambda: g if (g := ask(r))["vitrine_connections"] == 5 else None)
    assert (got["vitrine_connections_total"], got["vitrine_connections_turned_away_total"], got["vitrine_requests_held"]) == (10, 2, 0)
    first, second = [0] * 16, [0] * 16
    first[0], first[15], second[1] = 3, 1, 4
    r.gateway.send("TALLY", space_id=7, space="a/b", in_flight=5, websockets=2, streams=1,
                   counts=counts((1, 2, 3, 4, 5, 6), (10, 20, 1, *first, *second, 2_500_000, 1)))
    got = until(lambda: g if 'vitrine_cold_starts_total{space="a/b"}' in (g := ask(r)) else None)
    assert [got[f'vitrine_requests_total{{space="a/b",code="{c}"}}'] for c in ("none", "1xx", "2xx", "3xx", "4xx", "5xx")] == [1, 2, 3, 4, 5, 6]
    assert got['vitrine_received_bytes_total{space="a/b"}'] == 10 and got['vitrine_sent_bytes_total{space="a/b"}'] == 20
    assert got['vitrine_cold_starts_total{space="a/b"}'] == 1
    h = 'vitrine_request_duration_seconds'
    assert got[h + '_bucket{space="a/b",le="0.001"}'] == 3 and got[h + '_bucket{space="a/b",le="60"}'] == 3
    assert got[h + '_bucket{space="a/b",le="+Inf"}'] == 4 == got[h + '_count{space="a/b"}']
    assert got[h + '_sum{space="a/b"}'] == 2.5
    h = 'vitrine_first_byte_seconds'
    assert got[h + '_bucket{space="a/b",le="0.001"}'] == 0 and got[h + '_bucket{space="a/b",le="0.0025"}'] == 4
    gauges = [f'vitrine_{n}{{space="a/b"}}' for n in ("requests_in_flight", "websockets", "event_streams")]
    assert [got[g] for g in gauges] == [5, 2, 1]
    r.gateway.close()
    got = until(lambda: g if not (g := ask(r))[gauges[0]] else None)
    assert got["vitrine_connections"] == 0 and got["vitrine_connections_total"] == 10
    assert [got[g] for g in gauges] == [0, 0, 0] and got['vitrine_requests_total{space="a/b",code="2xx"}'] == 3


def test_names_and_numbers_that_are_lies(rig):
    r = rig()
    r.gateway.send("TALLY", space_id=7, space='a"\\\nb} 1', counts=counts((1,)))
    r.gateway.send("TALLY", space_id=8, space="cut", counts=b"12345678")
    r.gateway.send("TALLY", space_id=0, space="(site)", counts=counts((2,)))
    for n in range(1500):
        r.gateway.send("TALLY", space_id=1000 + n, space=f"x/{n}", counts=counts((1,)))
    got = until(lambda: g if 'vitrine_requests_total{space="x/1499",code="none"}' in (g := ask(r)) else None)
    assert sum(k.startswith("vitrine_cold_starts_total") for k in got) == 1000
    assert r.runner.poll() is None


def test_a_deleted_space(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    r.gateway.send("TALLY", space_id=s, space="demo/probe", counts=counts((0, 0, 1)))
    assert until(lambda: any("demo/probe" in k for k in ask(r)))
    r.command(s, "delete")
    assert until(lambda: not any("demo/probe" in k for k in ask(r)))
