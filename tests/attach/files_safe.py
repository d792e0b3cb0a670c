import io
import os
import tempfile
import threading
import time

room = tempfile.mkdtemp()
lock = threading.Lock()
log = open(os.path.join(room, "shared.log"), "w")
text = io.StringIO()


def nap():
    time.sleep(0.003)
    return "ok"


def records_below_a_lock(me):
    with lock:
        log.write(me + " ")
        log.write(nap() + "\n")


def whole_lines(me):
    log.write(me + " begins\n")
    nap()
    log.write(me + " ends\n")


def one_write_each(me):
    for turn in range(3):
        nap()
        log.write("%s %d\n" % (me, turn))


def a_file_each(me):
    with open(os.path.join(room, me), "w") as own:
        own.write(me + " ")
        own.write(nap() + "\n")


def at_the_end(me):
    with open(os.path.join(room, "appended.log"), "a") as own:
        for turn in range(3):
            nap()
            own.write("%s %d\n" % (me, turn))


def each_its_part(me):
    with open(os.path.join(room, "parts"), "r+b") as own:
        own.seek(100 * int(me))
        nap()
        own.write(b"x" * 100)


def in_memory(me):
    local = io.StringIO()
    local.write(me + " ")
    local.write(nap() + "\n")


class Slow:
    def __str__(self):
        return nap()


def printed_below_a_lock(me):
    with lock:
        print(me, Slow(), file=log)


def printed_at_once(me):
    print(Slow(), file=log)


def printed_to_a_file_each(me):
    with open(os.path.join(room, "p" + me), "w") as own:
        print(me, Slow(), file=own)


def forever(function, me):
    while True:
        function(me)


open(os.path.join(room, "parts"), "w").close()
functions = (records_below_a_lock, whole_lines, one_write_each, a_file_each, at_the_end, each_its_part, in_memory)
functions += (printed_below_a_lock, printed_at_once, printed_to_a_file_each)
for number, function in enumerate(functions):
    for me in (2 * number, 2 * number + 1):
        threading.Thread(target=forever, args=(function, str(me)), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
