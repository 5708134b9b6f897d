"""Random walks: how far from home does one get?"""
import numpy as np
import streamlit as st

TITLE = "@TITLE@"
st.set_page_config(page_title=TITLE)
st.title(TITLE)
steps = st.slider("Steps", 10, 2000, 500)
walks = st.slider("Walks", 1, 20, 5)

rng = np.random.default_rng(1)
paths = rng.choice([-1, 1], size=(steps, walks)).cumsum(axis=0)
st.line_chart(paths)
st.metric("Distance from home at the end, on average", f"{np.abs(paths[-1]).mean():.1f}")
st.caption(f"The square root of {steps} is {steps ** 0.5:.1f}.")
