# Works until it is told to end, and says on demand what it looks like from inside.
import collections
import os
import sys
import tempfile
import threading

total = 0
guarded = 0
lock = threading.Lock()
inside = threading.Event()
go_on = threading.Event()
done = threading.Event()


def more(number):
    return number + 1


def lose():
    global total
    total = more(total)


def keep():
    global guarded
    with lock:
        guarded = more(guarded)


def write():
    log.write("number ")
    log.write("%d\n" % more(0))


def waits_inside():
    global guarded
    with lock:
        inside.set()
        go_on.wait()
        for _ in range(200):
            guarded = more(guarded)


def work():
    go_on.wait()
    while not done.is_set():
        if LOSES:
            lose()
        if WRITES:
            write()
        keep()


def tick():
    while not done.wait(0.005):
        pass


def events_left():
    """What earlier owners of a tool's number have asked for and not taken back."""
    left = 0
    for number in range(6):
        sys.monitoring.use_tool_id(number, "service")
        left |= sys.monitoring.get_events(number) | sys.monitoring.get_local_events(number, keep.__code__)
        sys.monitoring.free_tool_id(number)
    return left


def watched():
    tools = [sys.monitoring.get_tool(number) for number in range(6)]
    return any(tools) or sys.get_coroutine_origin_tracking_depth() != 0 or events_left() != 0


def leaks():
    """Is memory of what has ended not given back?"""
    class Kept:
        pass

    blocks = sys.getallocatedblocks()
    for _ in range(2000):
        made = [collections.deque([1]), threading.Lock(), Kept(), {1: 2}, [1], {1}, (step for step in [1]), enumerate([1])]
        for it in made[-2:]:
            next(it)
    return sys.getallocatedblocks() - blocks > 1000


LOSES = os.environ["SERVICE"] == "loses"
WRITES = os.environ["SERVICE"] == "writes"
room = tempfile.TemporaryDirectory()
log = open(os.path.join(room.name, "torn.log"), "w")
threads = [threading.Thread(target=waits_inside, name="inside")]
threads += [threading.Thread(target=work, name="worker-%d" % number) for number in range(2)]
threads += [threading.Thread(target=tick, name="clock")]
threads[0].start()
inside.wait()
for thread in threads[1:]:
    thread.start()


def answer():
    for line in sys.stdin:
        if line == "go\n":
            go_on.set()
        elif line == "state\n":
            print("watched" if watched() else "as before", flush=True)
        elif line == "leaks\n":
            print("leaks" if leaks() else "tight", flush=True)
        else:
            return


# The main thread does nothing but wait, as it does in many services.
print("ready", flush=True)
answering = threading.Thread(target=answer, name="answers")
answering.start()
answering.join()
done.set()
for thread in threads:
    thread.join()
print("right" if LOSES or total == 0 else "wrong", flush=True)
