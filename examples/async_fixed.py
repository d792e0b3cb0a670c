"""The tank of async_racy.py: nothing is awaited between reading and storing, so no lock is needed.

    racetrace run -- python3 examples/async_fixed.py

reports

    no races found
"""

import asyncio


class Tank:
    def __init__(self):
        self.litres = 0

    async def fill(self, litres):
        await asyncio.sleep(0.01)  # the valve
        self.litres += litres


async def main():
    tank = Tank()
    await asyncio.gather(*(tank.fill(10) for _ in range(5)))
    print("litres:", tank.litres, "of 50")


if __name__ == "__main__":
    asyncio.run(main())
