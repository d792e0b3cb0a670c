"""A web service on asyncio: aiohttp with a cache that is filled under an asyncio.Lock; the requests come from a process that
is not watched."""
import asyncio
import hashlib
import socket

from aiohttp import web

filling = asyncio.Lock()
profiles = {}
visits = {}


async def load(name):
    """What a database would say."""
    await asyncio.sleep(0.001)
    return {"name": name, "key": hashlib.sha256(name.encode()).hexdigest()}


async def profile(name):
    async with filling:
        if name not in profiles:
            profiles[name] = await load(name)
        return profiles[name]


async def visit(request):
    name = request.match_info["name"]
    known = await profile(name)
    visits[name] = visits.get(name, 0) + 1
    words = request.query.get("words", "a b c").split()
    return web.json_response({**known, "visits": visits[name], "words": sorted(words), "total": sum(len(word) for word in words)})


async def leave(_request):
    ended.set()
    return web.Response(text="bye")


async def main():
    global ended
    ended = asyncio.Event()
    app = web.Application()
    app.add_routes([web.get("/visit/{name}", visit), web.get("/quit", leave)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    print("port", listening.getsockname()[1], flush=True)
    await ended.wait()
    await runner.cleanup()


asyncio.run(main())
