import gradio as gr


def answer(message, history):
    for n in range(1, len(message) + 1):
        yield f"({len(history) // 2 + 1}) {message[:n][::-1]}"


gr.ChatInterface(answer, title="Backwards", examples=["level", "stressed"], api_name="chat").launch()
