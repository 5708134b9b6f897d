import streamlit as st

st.title("Cube")
st.write(f"The volume is {st.session_state.get('side', 2) ** 3}.")
