import threading, time
from concurrent.futures import ThreadPoolExecutor

lock = threading.Lock()
keys = 0

def cut():
    global keys
    while True:
        lock.acquire()
        try:
            blank = keys
            time.sleep(0.001)
            keys = blank + 1
        finally:
            lock.release()

def bump():
    global keys
    keys += 1

def bump_locked():
    while True:
        with lock:
            bump()
        time.sleep(0.001)

token = threading.Semaphore(1)
glasses = 0

def pour():
    global glasses
    while True:
        token.acquire()
        glasses = glasses + len(str(time.sleep(0.001)))
        token.release()

class Driver:
    loaded = None
    guard = threading.Lock()

def load():
    while True:
        if Driver.loaded is None:
            with Driver.guard:
                if Driver.loaded is None:
                    time.sleep(0.005)
                    Driver.loaded = object()
        time.sleep(0.001)
        with Driver.guard:
            Driver.loaded = None

ping, pong = threading.Event(), threading.Event()
ping.set()
rally = 0

def player(mine, other):
    global rally
    while True:
        mine.wait()
        mine.clear()
        ball = rally
        time.sleep(0.001)
        rally = ball + 1
        other.set()

turn = 0
moves = 0

def mover(me):
    global turn, moves
    while True:
        while turn != me:
            time.sleep(0.001)
        moves += 1
        turn = 1 - me

class Store:
    def __init__(self):
        self.items = {}
        self.lock = threading.Lock()

    def get(self, key):
        with self.lock:
            return self.items.get(key)

    def put(self, key, value):
        with self.lock:
            if key not in self.items:
                self.items[key] = value

store = Store()

def remember():
    while True:
        if store.get('home') is None:
            time.sleep(0.005)
            store.put('home', 1)
        time.sleep(0.001)
        with store.lock:
            store.items.pop('home', None)

guests = [str(number) for number in range(20)]

def greet():
    while True:
        for guest in list(guests):
            time.sleep(0.0005)

def leave():
    while True:
        time.sleep(0.001)
        guests.pop()
        guests.append('late')

total = 0

def step():
    global total
    total += 1

def supervise():
    with ThreadPoolExecutor(2) as pool:
        while True:
            pool.submit(step).result()

def walk_own():
    mine = {}
    while True:
        for number in range(5):
            if number not in mine:
                time.sleep(0.0005)
                mine[number] = 0
            mine[number] += 1
        mine.clear()

jobs = [cut, cut, bump_locked, bump_locked, pour, pour, load, load, lambda: player(ping, pong), lambda: player(pong, ping),
        lambda: mover(0), lambda: mover(1), remember, remember, greet, leave, supervise, walk_own, walk_own]
for job in jobs:
    threading.Thread(target=job, daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
