"""The page: a sentence in English or Spanish in, its translation by Apertium out."""
import re
import subprocess

import streamlit as st

DIRECTIONS = {"English to Spanish": "eng-spa", "Spanish to English": "spa-eng"}
SAMPLES = {"eng-spa": "My sister reads a book in the garden. Yesterday we saw three blue birds.",
           "spa-eng": "Mi hermana lee un libro en el jardín. Ayer vimos tres pájaros azules."}
LONGEST = 5000


@st.cache_data(max_entries=1000, show_spinner=False)
def translate(text, direction):
    """The translation, and the words that Apertium does not know (it marks them with a star)."""
    try:
        r = subprocess.run(["apertium", direction], input=text, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise RuntimeError("apertium is not installed; packages.txt names it") from None
    if r.returncode:
        raise RuntimeError(r.stderr.strip() or f"apertium ended with status {r.returncode}")
    return re.sub(r"\*(?=\w)", "", r.stdout), sorted(set(re.findall(r"\*(\w+)", r.stdout)))


st.set_page_config(page_title="Translation", page_icon="🌍")
st.title("Translation")
direction = DIRECTIONS[st.radio("Direction", list(DIRECTIONS), horizontal=True)]
text = st.text_area("Text", SAMPLES[direction], key="text-" + direction, max_chars=LONGEST, height=140)
if text.strip():
    try:
        translation, unknown = translate(text, direction)
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        st.error(str(e))
        st.stop()
    st.subheader("Translation")
    st.write(translation.replace("\n", "  \n"))
    if unknown:
        st.caption("Not in the dictionary, and left as they are: " + ", ".join(unknown))

    st.subheader("Practice")
    gap = st.slider("Leave out every … word", 2, 10, 5)
    words = translation.split()
    st.code(" ".join("_" * len(w) if i % gap == gap - 1 else w for i, w in enumerate(words)), language=None, wrap_lines=True)
