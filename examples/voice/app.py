"""The page: a recording or a WAV file in, the times at which somebody speaks out."""
import os
import tempfile
import wave

# The products are small: threads that share them wait for each other longer than they compute.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gradio as gr  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

import detector  # noqa: E402
import sounds  # noqa: E402

SECONDS_MAX = 120
KEPT = os.environ.get("VOICE_DATA", "/data" if os.access("/data", os.W_OK) else tempfile.gettempdir())

model = detector.load_or_train(KEPT)
AUC = float(model.measured["auc"])


def detect(recording):
    if recording is None:
        raise gr.Error("There is no recording yet.")
    rate, samples = recording
    if np.issubdtype(samples.dtype, np.integer):
        samples = samples / np.iinfo(samples.dtype).max
    if samples.ndim == 2:
        samples = samples.mean(1)
    if not rate / 4 < len(samples) < rate * SECONDS_MAX:
        raise gr.Error(f"The recording has {len(samples) / rate:.1f} s; a quarter of a second to {SECONDS_MAX} s will do.")
    scores, segments = model.detect(sounds.resample(samples, rate))
    spoken = sum(b - a for a, b in segments)
    whole = len(samples) / rate
    said = f"Speech: {spoken:.1f} of {whole:.1f} s" if segments else f"No speech in {whole:.1f} s"
    each = max(1, len(scores) // 500)
    curve = pd.DataFrame({"seconds": np.arange(0, len(scores), each) / 100, "probability": scores[::each].round(3)})
    return said, [{"from": round(a, 2), "to": round(b, 2)} for a, b in segments], curve


def example(name, samples):
    path = os.path.join(tempfile.mkdtemp(), name + ".wav")
    with wave.open(path, "wb") as w:
        w.setparams((1, 2, sounds.RATE, 0, "NONE", ""))
        w.writeframes((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
    return path


rng = np.random.default_rng(9)
noisy, _ = sounds.scene(rng, sounds.HELD_OUT_SENTENCES, sounds.HELD_OUT_VOICES, [sounds.rain], 8)
examples = [example("speech-in-rain", noisy / np.abs(noisy).max()), example("rain", sounds.loud(sounds.rain(rng, 3 * sounds.RATE)))]

with gr.Blocks(title="Voice activity") as demo:
    gr.Markdown("# Voice activity\nRecord something, or upload a file: when does somebody speak?")
    recording = gr.Audio(sources=["upload", "microphone"], type="numpy", label="Recording")
    button = gr.Button("Detect", variant="primary")
    said = gr.Textbox(label="Answer", interactive=False)
    curve = gr.LinePlot(x="seconds", y="probability", y_lim=[0, 1], height=220, label="Probability of speech")
    segments = gr.JSON(label="Segments, in seconds")
    button.click(detect, recording, [said, segments, curve], api_name="detect")
    gr.Examples(examples, recording, example_labels=["Spanish, Polish or Finnish in the rain", "Rain"])
    with gr.Accordion(f"How good is it? AUC {AUC:.3f}", open=False):
        gr.Markdown("Measured on synthetic speech and noise of kinds that the training had not: see the README.")
        gr.LinePlot(pd.DataFrame({"false alarms": model.measured["false_rate"], "speech found": model.measured["true_rate"]}),
                    x="false alarms", y="speech found", x_lim=[0, 1], y_lim=[0, 1], height=300, label="ROC")

if __name__ == "__main__":
    demo.launch()
