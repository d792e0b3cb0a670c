# Two coroutines use one asyncio.Lock around a short await and both get their turn.
import asyncio
import os
import sys
import time

WHAT = "visits to the vault"


async def visit(who, vault_lock, log):
    async with vault_lock:
        log.append(who)
        await asyncio.sleep(0)


async def bank():
    log = []
    vault_lock = asyncio.Lock()
    await asyncio.gather(visit("ann", vault_lock, log), visit("ben", vault_lock, log))
    return len(log)


def one_round():
    return 2, asyncio.run(bank())


def main():
    seconds = 0.0
    if "--seconds" in sys.argv:
        seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
        print("ready", os.getpid(), flush=True)
    stop_at = time.monotonic() + seconds
    rounds = want = got = 0
    while True:
        expected, actual = one_round()
        rounds, want, got = rounds + 1, want + expected, got + actual
        if time.monotonic() >= stop_at:
            break
    verdict = "consistent in this run" if want == got else "INCONSISTENT"
    print("%s: expected %d, actual %d over %d round(s) -> %s" % (WHAT, want, got, rounds, verdict))


if __name__ == "__main__":
    main()
