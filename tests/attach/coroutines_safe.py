import asyncio


async def flush():
    await asyncio.sleep(0.001)


async def awaited_later():
    pending = flush()
    await asyncio.sleep(0.02)
    await pending


async def closed_in_the_end():
    pending = flush()
    try:
        await asyncio.sleep(0.02)
    finally:
        pending.close()


async def handed_on():
    pending = flush()
    task = asyncio.ensure_future(pending)
    await asyncio.sleep(0.02)
    await task


async def kept_elsewhere(kept):
    pending = flush()
    kept.append(pending)
    await asyncio.sleep(0.02)


async def taken_from_there():
    kept = []
    await kept_elsewhere(kept)
    await kept.pop()


async def runs_it(work):
    await asyncio.sleep(0.02)
    return await work


async def gives_it():
    work = flush()
    await runs_it(work)


async def seen_by_a_function():
    pending = flush()

    async def later():
        await asyncio.sleep(0.02)
        await pending

    await later()


async def awaited_by_some():
    pending = flush()
    for turn in range(3):
        await asyncio.sleep(0.01)
        if turn == 2:
            await pending


async def has_run():
    pending = flush()
    await pending
    await asyncio.sleep(0.02)


async def main():
    print("ready", flush=True)
    functions = (
        awaited_later, closed_in_the_end, handed_on, taken_from_there, gives_it, seen_by_a_function, awaited_by_some, has_run
    )
    while True:
        await asyncio.gather(*(function() for function in functions))


asyncio.run(main())
