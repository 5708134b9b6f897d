import gradio as gr


def greet(name, shout):
    text = f"Hello {name}"
    return text.upper() if shout else text


demo = gr.Interface(greet, [gr.Textbox(label="Name"), gr.Checkbox(label="Shout")], gr.Textbox(label="Greeting"), allow_flagging="never")
demo.launch()
