import os

import uvicorn
from fastapi import FastAPI, WebSocket
from pydantic import BaseModel

app = FastAPI(title="An API")


class Numbers(BaseModel):
    numbers: list[float]


@app.get("/")
def home():
    return {"space": os.environ["SPACE_ID"]}


@app.post("/sum")
def add(numbers: Numbers):
    return {"sum": sum(numbers.numbers)}


@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    while True:
        await socket.send_text((await socket.receive_text())[::-1])


if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", 7860)))
