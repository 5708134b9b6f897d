"""Bodies in random pieces, chunks and pauses arrive as they were sent, and the gateway keeps none of it. `make volume` sends 8 GiB
each way."""
import os

import volume

MIB = 1 << 20


def test_volume(gateway):
    g = gateway(log__level="error")
    wrong, went, samples = volume.run(g, 64 * MIB, seed=int.from_bytes(os.urandom(3), "little"))
    assert not wrong
    assert went == 128 * MIB
    if not os.environ.get("SANITIZER"):  # which keep what was freed
        # 8 streams, each with a large buffer or two
        assert max(samples) - samples[0] < 1024, samples
