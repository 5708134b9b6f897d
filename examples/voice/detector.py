"""A voice activity detector: for each hundredth of a second, how likely it is that somebody speaks."""
import os
import time

import numpy as np

import sounds

STEP = sounds.RATE // 100  # a frame each 10 ms
WINDOW = 400  # of 25 ms
BANDS = 24
CONTEXT = (-12, -8, -5, -3, -1, 0, 1, 3, 5, 8, 12)  # frames around the one that is judged
TRAINING_SCENES, HELD_OUT_SCENES = 130, 60
HIDDEN = 40
PAUSE, SHORTEST = 0.35, 0.15  # seconds: a shorter pause belongs to what is said, a shorter sound is none
FALSE_ALARMS = 0.05  # the share of frames without speech that the threshold lets through


def mel_filters():
    def mel(f):
        return 1127 * np.log(1 + f / 700)

    edges = 700 * (np.exp(np.linspace(mel(80), mel(7600), BANDS + 2) / 1127) - 1)
    f = np.fft.rfftfreq(512, 1 / sounds.RATE)
    up = (f - edges[:-2, None]) / (edges[1:-1, None] - edges[:-2, None])
    down = (edges[2:, None] - f) / (edges[2:, None] - edges[1:-1, None])
    return np.maximum(0, np.minimum(up, down))


FILTERS = mel_filters()


def features(samples):
    """One row a frame: the energy in each band beside the recording's quietest, how flat the spectrum is, and how
    strongly the sound repeats itself as a voice does; then the same of the frames around."""
    x = np.append(samples, np.zeros(WINDOW))
    count = max(1, len(samples) // STEP)
    frames = x[np.arange(count)[:, None] * STEP + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    energy = np.log(power @ FILTERS.T + 1e-7)
    floor = np.percentile(energy, 10, axis=0)
    level = np.log(power.sum(1) + 1e-7)
    flat = np.log(power[:, 3:] + 1e-9).mean(1) - np.log(power[:, 3:].mean(1) + 1e-9)
    repeats = np.fft.irfft(power)
    pitch = repeats[:, 40:250].max(1) / (repeats[:, 0] + 1e-9)  # periods of 64 to 400 Hz
    one = np.column_stack([energy - floor, energy - energy.mean(1, keepdims=True), level - np.percentile(level, 10),
                           level - np.percentile(level, 95), flat, pitch])
    near = np.clip(np.arange(count)[:, None] + np.array(CONTEXT), 0, count - 1)
    return one[near].reshape(count, -1).astype(np.float32)


def frame_labels(spoken, count):
    return np.array([spoken[i * STEP:i * STEP + WINDOW].mean() > 0.5 for i in range(count)])


def make_set(seed, scenes, sentences, voices, noises):
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for i in range(scenes):
        x, spoken = sounds.noise_only(rng, noises) if i % 4 == 3 else sounds.scene(rng, sentences, voices, noises,
                                                                                     rng.uniform(-3, 25))
        f = features(x)
        rows.append(f)
        labels.append(frame_labels(spoken, len(f)))
    return np.concatenate(rows), np.concatenate(labels)


def held_out_set():
    return make_set(2, HELD_OUT_SCENES, sounds.HELD_OUT_SENTENCES, sounds.HELD_OUT_VOICES, sounds.HELD_OUT_NOISES)


def roc(scores, labels):
    """False and true positive rates at each threshold, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    misses = np.arange(1, len(labels) + 1) - hits
    return np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1])


def area(false_rate, true_rate):
    return float(np.sum(np.diff(false_rate) * (true_rate[1:] + true_rate[:-1]) / 2))


class Detector:
    """One hidden layer, trained by Adam."""

    def __init__(self, mean, scale, w1, b1, w2, b2, **measured):
        self.parts = dict(mean=mean, scale=scale, w1=w1, b1=b1, w2=w2, b2=b2)
        self.measured = measured  # false_rate, true_rate, auc, threshold

    def score(self, rows):
        p = self.parts
        hidden = np.maximum(0, (rows - p["mean"]) / p["scale"] @ p["w1"] + p["b1"])
        return 1 / (1 + np.exp(-(hidden @ p["w2"] + p["b2"])))

    def detect(self, samples):
        """Probabilities, one a frame, and the segments [(from, to)] in seconds where somebody speaks."""
        scores = self.score(features(samples))
        smooth = np.convolve(np.pad(scores, 7, "edge"), np.ones(15) / 15, "valid")
        on = np.flatnonzero(np.diff(np.concatenate([[0], smooth > float(self.measured["threshold"]), [0]])))
        segments = []
        for a, b in zip(on[::2] / 100, on[1::2] / 100):
            if segments and a - segments[-1][1] < PAUSE:
                segments[-1][1] = float(b)
            else:
                segments.append([float(a), float(b)])
        return smooth, [(a, b) for a, b in segments if b - a >= SHORTEST]

    def save(self, path):
        with open(path + ".new", "wb") as f:
            np.savez(f, **self.parts, **self.measured)
        os.replace(path + ".new", path)

    @classmethod
    def load(cls, path):
        with np.load(path, allow_pickle=False) as kept:
            return cls(**kept)


def train(rows, labels, epochs=8, batch=128, seed=3):
    rng = np.random.default_rng(seed)
    mean, scale = rows.mean(0), rows.std(0) + 1e-3
    x, y = (rows - mean) / scale, labels.astype(np.float32)
    w = [rng.standard_normal((x.shape[1], HIDDEN)).astype(np.float32) * np.sqrt(2 / x.shape[1]), np.zeros(HIDDEN, np.float32),
         rng.standard_normal(HIDDEN).astype(np.float32) * np.sqrt(1 / HIDDEN), np.zeros((), np.float32)]
    m, v, step = [np.zeros_like(a) for a in w], [np.zeros_like(a) for a in w], 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for at in range(0, len(x) - batch, batch):
            some = order[at:at + batch]
            xb = x[some]
            raw = xb @ w[0] + w[1]
            hidden = np.maximum(0, raw)
            wrong = (1 / (1 + np.exp(-(hidden @ w[2] + w[3]))) - y[some]) / batch
            back = np.outer(wrong, w[2]) * (raw > 0)
            gradients = [xb.T @ back, back.sum(0), hidden.T @ wrong, wrong.sum()]
            step += 1
            for i, g in enumerate(gradients):
                if i in (0, 2):
                    g = g + 1e-4 * w[i]
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g * g
                w[i] = w[i] - 0.002 * (m[i] / (1 - 0.9 ** step)) / (np.sqrt(v[i] / (1 - 0.999 ** step)) + 1e-8)
    return Detector(mean, scale, *w)


def measure(detector):
    """On languages, voices and noises that the training had not."""
    rows, labels = held_out_set()
    false_rate, true_rate = roc(detector.score(rows), labels)
    thresholds = np.append(1, np.sort(detector.score(rows))[::-1])
    best = np.searchsorted(false_rate, FALSE_ALARMS)
    thin = np.unique(np.linspace(0, len(false_rate) - 1, 2000).astype(int))
    detector.measured = dict(false_rate=false_rate[thin], true_rate=true_rate[thin], auc=area(false_rate, true_rate),
                             threshold=thresholds[best], frames=len(labels))


def print_roc(measured):
    print(f"AUC {float(measured['auc']):.4f} on {int(measured['frames'])} held-out frames (languages, voices and noises not trained on)")
    for false in (0.01, 0.02, 0.05, 0.1, 0.2):
        true = np.interp(false, measured["false_rate"], measured["true_rate"])
        print(f"  false alarms {false:4.0%}   speech found {true:4.0%}  {'#' * int(40 * true)}", flush=True)


def load_or_train(folder):
    path = os.path.join(folder, "voice.npz")
    try:
        detector = Detector.load(path)
    except (OSError, ValueError, KeyError, TypeError):
        begun = time.monotonic()
        print("training on speech of espeak-ng and noise ...", flush=True)
        detector = train(*make_set(1, TRAINING_SCENES, sounds.SENTENCES, sounds.VOICES, sounds.NOISES))
        measure(detector)
        print(f"trained in {time.monotonic() - begun:.1f} s")
        try:
            detector.save(path)
        except OSError as e:
            print(f"not kept: {e}")
    print_roc(detector.measured)
    return detector
