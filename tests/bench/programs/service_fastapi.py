"""A FastAPI service on uvicorn with a race in its handler: the stock is looked at, something is awaited, the stock is
changed."""
import asyncio
import random
import socket

import uvicorn
from fastapi import FastAPI

app = FastAPI()
stock = {"apples": 1_000_000}


async def payment():
    await asyncio.sleep(random.uniform(0.001, 0.003))


@app.get("/order")
async def order():
    left = stock["apples"]
    if left > 0:
        await payment()
        stock["apples"] = left - 1
    return {"left": left}


listening = socket.create_server(("127.0.0.1", 0))
print("port", listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
