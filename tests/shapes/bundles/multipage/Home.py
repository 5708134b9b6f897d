import streamlit as st

st.set_page_config(page_title="Pages")
st.title("Home")
side = st.slider("Side", 0, 10, 3)
st.write(f"The area is {side * side}.")
st.session_state["side"] = side
