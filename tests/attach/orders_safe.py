import threading, time


class Pair:
    def __init__(self):
        self.left, self.right = threading.Lock(), threading.Lock()


# A lock around both orders: entered by both, or taken by hand by one of them.
gate, gated = threading.Lock(), Pair()


def gated_forth():
    with gate:
        with gated.left:
            time.sleep(0.005)
            with gated.right:
                pass


def gated_by_hand():
    gate.acquire()
    try:
        with gated.left:
            time.sleep(0.005)
            with gated.right:
                pass
    finally:
        gate.release()


def gated_back():
    time.sleep(0.002)
    with gate:
        with gated.right:
            time.sleep(0.001)
            with gated.left:
                pass


# One of them gives up.
tried = Pair()


def tried_forth():
    with tried.left:
        time.sleep(0.005)
        with tried.right:
            pass


def tried_back():
    time.sleep(0.002)
    with tried.right:
        if tried.left.acquire(timeout=0.001):
            tried.left.release()


# One comes after the other.
ordered, gone = Pair(), threading.Event()


def ordered_forth():
    with ordered.left:
        time.sleep(0.005)
        with ordered.right:
            pass
    gone.set()


def ordered_back():
    gone.wait()
    with ordered.right:
        with ordered.left:
            pass


# The same order, of a lock that may be taken again.
again, inner = threading.RLock(), threading.Lock()


def again_forth():
    with again:
        time.sleep(0.003)
        with inner:
            with again:
                pass


# As many may come in as want to.
permits, own = threading.Semaphore(8), threading.Lock()


def permitted_forth():
    with permits:
        time.sleep(0.003)
        with own:
            pass


def permitted_back():
    time.sleep(0.001)
    with own:
        with permits:
            pass


def rounds(*functions):
    while True:
        gone.clear()
        threads = [threading.Thread(target=function) for function in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


for functions in (
    (gated_forth, gated_back),
    (gated_by_hand, gated_back),
    (tried_forth, tried_back),
    (ordered_forth, ordered_back),
    (again_forth, again_forth),
    (permitted_forth, permitted_back),
):
    threading.Thread(target=rounds, args=functions, daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
