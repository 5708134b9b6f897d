"""What the detector is trained and measured on: sentences spoken by espeak-ng, and noise made here."""
import io
import subprocess
import wave

import numpy as np

RATE = 16000

SENTENCES = {
    "en-us": ["The museum opens at nine, and the first visitors go straight to the birds.",
              "Please speak after the tone, slowly and as clearly as you can.",
              "Yesterday it rained so hard that nobody came.", "What time is it now?"],
    "en-gb": ["Seven ships went out, and six of them returned.", "I would rather have some tea."],
    "de": ["Guten Morgen, ich hätte gern zwei Brötchen und einen Kaffee.", "Der Zug nach Hamburg fährt heute von Gleis acht."],
    "fr-fr": ["Bonjour, je cherche la gare, est-ce que c'est loin d'ici ?", "Il fait beau, allons au marché."],
    "it": ["Buongiorno, vorrei un biglietto per Roma.", "La finestra è aperta e fa freddo."],
    "sv": ["God morgon, var ligger närmaste apotek?", "Vi ses i morgon klockan tio."],
    "ru": ["Добрый день, сколько стоит этот билет?", "Сегодня очень холодно."],
}
# Neither these languages nor these voices are in the training.
HELD_OUT_SENTENCES = {
    "es": ["Buenos días, ¿dónde está la estación de tren?", "Mañana vamos a la playa con los niños."],
    "pl": ["Dzień dobry, poproszę dwie kawy i wodę.", "Jutro będzie padać deszcz."],
    "fi": ["Hyvää huomenta, missä on rautatieasema?", "Talvella järvi on jäässä."],
    "en-gb-scotland": ["The harbour was quiet before the storm came in.", "Could you pass me the salt?"],
}
VOICES = ["", "m1", "m3", "m5", "f1", "f3", "f5"]
HELD_OUT_VOICES = ["m2", "m7", "f2", "f4"]


def read_wav(data):
    """Samples between -1 and 1 at RATE, of a WAV file with 16 bits."""
    with wave.open(io.BytesIO(data)) as w:
        rate, channels = w.getframerate(), w.getnchannels()
        samples = np.frombuffer(w.readframes(w.getnframes()), np.int16)
    return resample(samples.reshape(-1, channels).mean(1) / 32768, rate)


def resample(samples, rate):
    if rate == RATE or not len(samples):
        return np.asarray(samples, np.float64)
    if rate > RATE:  # what would fold down is taken away first, by a mean over the samples that become one
        width = max(1, round(rate / RATE))
        samples = np.convolve(samples, np.ones(width) / width, "same")
    return np.interp(np.arange(0, len(samples), rate / RATE), np.arange(len(samples)), samples)


def speak(text, language, voice="", speed=160, pitch=50):
    name = f"{language}+{voice}" if voice else language
    out = subprocess.run(["espeak-ng", "-v", name, "-s", str(speed), "-p", str(pitch), "--stdout", text],
                         capture_output=True, check=True).stdout
    # On a pipe it cannot go back to write the lengths.
    size = len(out) - 44
    out = out[:4] + (36 + size).to_bytes(4, "little") + out[8:40] + size.to_bytes(4, "little") + out[44:]
    return read_wav(out)


def loud(x, level=0.1):
    return x * (level / (np.sqrt(np.mean(x ** 2)) + 1e-9))


def coloured(rng, n, slope):
    """Noise whose power falls by frequency to `slope`: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20)
    return np.fft.irfft(spectrum / f ** (slope / 2), n)


def time(n):
    return np.arange(n) / RATE


def hum(rng, n):
    t, f = time(n), rng.choice([50, 60, 100, 120])
    return sum(rng.uniform(0.2, 1) / k * np.sin(2 * np.pi * k * f * t + rng.uniform(0, 6)) for k in range(1, 9))


def fan(rng, n):
    return coloured(rng, n, 1.5) * (1 + 0.6 * np.sin(2 * np.pi * rng.uniform(1, 12) * time(n)))


def bursts(rng, n, each_second, seconds, slope):
    """Short sounds at random moments, as of keys, drops or doors."""
    out = coloured(rng, n, 0) * 0.02
    for at in rng.integers(0, n, max(1, int(each_second * n / RATE))):
        length = int(rng.uniform(0.3, 1) * seconds * RATE)
        burst = coloured(rng, length, slope)
        burst = burst / np.abs(burst).max() * np.exp(-5 * np.arange(length) / length) * rng.uniform(0.2, 1)
        out[at:at + length] += burst[:max(0, n - at)]
    return out


def keys(rng, n):
    return bursts(rng, n, 7, 0.04, 0)


def knocks(rng, n):
    return bursts(rng, n, 2, 0.15, 2)


def notes(rng, n, overtones, decay):
    """A tune of tones with a fixed pitch each."""
    out, at = np.zeros(n), 0
    while at < n:
        length = int(rng.uniform(0.08, 0.6) * RATE)
        t = time(length)
        f = 110 * 2 ** (rng.integers(0, 37) / 12)
        tone = sum(np.sin(2 * np.pi * k * f * t) / k for k in range(1, overtones + 1) if k * f < RATE / 2)
        out[at:at + length] += (tone * np.exp(-decay * t) * np.minimum(1, 200 * t))[:n - at]
        at += length
    return out


def organ(rng, n):
    return notes(rng, n, 6, 0)


def beeps(rng, n):
    return notes(rng, n, 1, 0) * (np.sin(2 * np.pi * rng.uniform(1, 4) * time(n)) > 0)


def sweep(rng, n):
    f = rng.uniform(300, 900) + rng.uniform(100, 300) * np.sin(2 * np.pi * rng.uniform(0.3, 2) * time(n))
    return np.sin(2 * np.pi * np.cumsum(f) / RATE)


def rain(rng, n):
    return bursts(rng, n, 150, 0.01, 0.5) + coloured(rng, n, 0.7) * 0.3


def engine(rng, n):
    speed = rng.uniform(20, 45) * (1 + 0.1 * np.sin(2 * np.pi * 0.3 * time(n)))
    phase = np.cumsum(speed) / RATE
    return np.exp(-12 * (phase % 1)) * (1 + 0.3 * coloured(rng, n, 0)) + 0.3 * loud(coloured(rng, n, 2), 1)


def plucked(rng, n):
    return notes(rng, n, 9, 6)


def street(rng, n):
    return loud(coloured(rng, n, 1.8), 1) + 0.3 * loud(sweep(rng, n), 1) + loud(knocks(rng, n), 0.5)


NOISES = [lambda r, n: coloured(r, n, 0), lambda r, n: coloured(r, n, 1), lambda r, n: coloured(r, n, 2), hum, fan, keys,
          knocks, organ, beeps, sweep]
HELD_OUT_NOISES = [rain, engine, plucked, street]


def scene(rng, sentences, voices, noises, snr_db):
    """A sentence with silence around it in noise, and for each sample whether somebody speaks: where the speech by
    itself is louder than a thousandth of its loudest."""
    language = rng.choice(list(sentences))
    speech = loud(speak(rng.choice(sentences[language]), language, rng.choice(voices), rng.integers(120, 220), rng.integers(25, 75)))
    pad = rng.integers(RATE // 4, RATE, 2)
    speech = np.concatenate([np.zeros(pad[0]), speech, np.zeros(pad[1])])
    noise = loud(noises[rng.integers(len(noises))](rng, len(speech)), 0.1 / 10 ** (snr_db / 20))
    power = np.convolve(speech ** 2, np.ones(320) / 320, "same")
    gain = rng.uniform(0.1, 3)  # microphones differ
    return (speech + noise) * gain, power > power.max() * 0.001


def noise_only(rng, noises, seconds=3):
    x = loud(noises[rng.integers(len(noises))](rng, int(seconds * RATE))) * rng.uniform(0.05, 2)
    return x, np.zeros(len(x), bool)
