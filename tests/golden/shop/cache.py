"""Prices, looked up once."""
import asyncio
import os
import threading

prices = {}
sessions = {}
pending = {}
price_lock = threading.Lock()
page_lock = threading.Lock()
rate_lock = asyncio.Lock()


def price(name):
    if name not in prices:
        prices[name] = look_up(name)
    return prices[name]


def broadcast(message):
    for user, session in sessions.items():
        session.send(message)


def log_in(user, session):
    sessions[user] = session


async def page(url):
    if url not in pending:
        body = await fetch(url)
        pending[url] = body
    return pending[url]


async def refresh(url):
    with page_lock:
        pending[url] = await fetch(url)


async def rated(url):
    async with rate_lock:
        return await fetch(url)


async def on_order(order):
    save(order)
    await confirm(order)


def snapshot(path):
    if os.path.exists(path):
        os.remove(path)
    with open(path, "w") as out:
        out.write(repr(prices))


def reprice():
    with price_lock:
        with page_lock:
            prices.clear()


def purge():
    with page_lock:
        with price_lock:
            pending.clear()


def log(out, event):
    out.write(event.name + " ")
    out.write(event.value + "\n")
