"""Keeps the sentences of a text whose words come back most often."""
import collections
import re

import gradio as gr

EXAMPLE = (
    "A vitrine is a glass case. What is in the case is on show, and nobody can touch it. "
    "Museums have glass cases for coins and for birds. Some visitors look at the birds for hours. "
    "A glass case keeps dust out. The weather was fine that day."
)


def summarize(text, count):
    sentences = re.findall(r"[^.!?]+[.!?]*", text)
    words = [[w for w in re.findall(r"\w+", s.lower()) if len(w) > 3] for s in sentences]
    often = collections.Counter(w for s in words for w in s)
    score = [sum(often[w] for w in s) / max(1, len(s)) for s in words]
    best = sorted(sorted(range(len(sentences)), key=score.__getitem__, reverse=True)[: int(count)])
    return " ".join(sentences[i].strip() for i in best)


demo = gr.Interface(
    fn=summarize,
    inputs=[
        gr.Textbox(EXAMPLE, label="Text", lines=6),
        gr.Slider(1, 10, value=2, step=1, label="Sentences"),
    ],
    outputs=gr.Textbox(label="Summary"),
    title="@TITLE@",
)

if __name__ == "__main__":
    demo.launch()
