import gradio as gr


def spell(text):
    said = ""
    for letter in text:
        said += letter.upper()
        yield said


def count(file):
    with open(file, encoding="utf-8") as f:
        words = f.read().split()
    return {"words": len(words), "longest": max(words, key=len, default="")}


with gr.Blocks(title="Blocks") as demo:
    gr.Markdown("# Blocks")
    with gr.Row():
        text = gr.Textbox(label="Text")
        said = gr.Textbox(label="Spelt")
    gr.Button("Spell", elem_id="spell").click(spell, text, said, api_name="spell")
    with gr.Tab("File"):
        file, words = gr.File(label="Text file", type="filepath"), gr.JSON(label="Words")
        file.upload(count, file, words, api_name="count")

if __name__ == "__main__":
    demo.launch()
