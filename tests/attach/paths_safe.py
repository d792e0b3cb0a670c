import os
import tempfile
import threading
import time
from pathlib import Path

room = tempfile.mkdtemp()
lock = threading.Lock()


def path_of(name):
    return os.path.join(room, name)


def claimed_below_a_lock():
    path = path_of("claimed")
    with lock:
        if not os.path.exists(path):
            time.sleep(0.004)
            with open(path, "w") as file:
                file.write("mine")


def claimed_after_a_second_look():
    path = path_of("twice")
    if not os.path.exists(path):
        time.sleep(0.004)
        with lock:
            if not os.path.exists(path):
                open(path, "w").close()


def only_one_gets_through():
    path = path_of("exclusive")
    if not os.path.exists(path):
        time.sleep(0.004)
        try:
            open(path, "x").close()
        except FileExistsError:
            pass


def the_check_is_a_shortcut():
    path = path_of("shortcut")
    if os.path.exists(path):
        time.sleep(0.004)
        try:
            os.remove(path)
        except FileNotFoundError:
            pass
    else:
        Path(path).touch()


def one_that_is_gone_will_do():
    path = Path(path_of("gone"))
    path.touch()
    if path.exists():
        time.sleep(0.004)
        try:
            path.unlink()
        except OSError:
            pass


def all_read():
    path = path_of("kept")
    if os.path.exists(path):
        time.sleep(0.004)
        with open(path) as file:
            file.read()


def each_has_its_own():
    path = path_of("own-%d" % threading.get_ident())
    if not os.path.exists(path):
        time.sleep(0.004)
        open(path, "w").close()
    os.remove(path)


def answered_already():
    path = path_of("kept")
    mode = "a" if os.path.exists(path) else "w"
    time.sleep(0.004)
    with lock:
        with open(path, mode) as file:
            file.write("")


class Shop:
    """Names as of files, of something else."""

    def exists(self, name):
        return True

    def remove(self, name):
        return None

    def open(self, name):
        return None


shop = Shop()


def not_about_files():
    name = "thing"
    if shop.exists(name):
        time.sleep(0.004)
        shop.remove(name)
    if shop.exists(name):
        time.sleep(0.004)
        shop.open(name)


def forever(function):
    while True:
        function()


with open(path_of("kept"), "w") as kept:
    kept.write("text")
functions = (
    claimed_below_a_lock, claimed_after_a_second_look, only_one_gets_through, the_check_is_a_shortcut,
    one_that_is_gone_will_do, all_read, each_has_its_own, answered_already, not_about_files,
)
for function in functions:
    for _ in range(2):
        threading.Thread(target=forever, args=(function,), daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
