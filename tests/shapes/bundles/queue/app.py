import threading

import gradio as gr

busy = threading.Lock()


def square(number, progress=gr.Progress()):
    if not busy.acquire(blocking=False):
        raise gr.Error("two at the same time")
    try:
        progress(0.5, desc="squaring")
        return number * number
    finally:
        busy.release()


demo = gr.Interface(square, gr.Number(label="Number"), gr.Number(label="Square"), api_name="predict")
demo.queue(default_concurrency_limit=1, max_size=20).launch()
