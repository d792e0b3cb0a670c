import asyncio


class Outbox:
    async def flush(self):
        await asyncio.sleep(0)

    async def close(self):
        pending = self.flush()
        await asyncio.sleep(0.02)
        return 1


class Once:
    def __init__(self):
        self.future = None

    async def run(self, work):
        if self.future is not None:
            return await self.future
        self.future = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0.02)
        self.future.set_result(await work)


async def draw():
    await asyncio.sleep(0)


async def visit(once):
    return await once.run(draw())


async def main():
    print("ready", flush=True)
    while True:
        await Outbox().close()
        once = Once()
        await asyncio.gather(visit(once), visit(once))


import warnings

warnings.simplefilter("ignore")
asyncio.run(main())
