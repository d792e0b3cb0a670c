"""asyncio has one thread and still races: what was read before an await may be outdated after it.

    racetrace run -- python3 examples/async_racy.py

reports

    error[read-modify-write]: Tank.litres
"""

import asyncio


class Tank:
    def __init__(self):
        self.litres = 0

    async def fill(self, litres):
        before = self.litres
        await asyncio.sleep(0.01)  # the valve
        self.litres = before + litres


async def main():
    tank = Tank()
    await asyncio.gather(*(tank.fill(10) for _ in range(5)))
    print("litres:", tank.litres, "of 50")


if __name__ == "__main__":
    asyncio.run(main())
