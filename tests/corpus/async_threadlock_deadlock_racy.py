# Two coroutines use one threading.Lock around an await: the second blocks the loop that the first needs.
# hangs
import asyncio
import os
import sys
import threading
import time

WHAT = "two visits to the vault"
vault_lock = threading.Lock()


async def visit(who, log):
    with vault_lock:  # race: deadlock vault_lock  # race-read: thread-lock-across-await vault_lock
        log.append(who)
        await asyncio.sleep(0.01)  # race: thread-lock-across-await vault_lock


async def bank():
    log = []
    await asyncio.gather(visit("ann", log), visit("ben", log))


def one_round():
    asyncio.run(bank())


def main():
    if "--seconds" in sys.argv:
        print("ready", os.getpid(), flush=True)
        # half of the time is left for attaching before everything stops for good
        time.sleep(float(sys.argv[sys.argv.index("--seconds") + 1]) / 2)
    print("%s: expected to finish, actual: this process hangs now" % WHAT, flush=True)
    one_round()
    print("never reached")


if __name__ == "__main__":
    main()
