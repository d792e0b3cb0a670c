import threading, time

def slow():
    time.sleep(0.004)
    return 1

bins = [0, 0]

def sort():
    number = 0
    while True:
        number += 1
        bins[number % 2] = bins[number % 2] + slow()

guests = [str(number) for number in range(50)]

def greet():
    while True:
        for guest in guests:
            time.sleep(0.002)

def leave():
    while True:
        time.sleep(0.003)
        guests.pop()
        guests.append('late')

class Store:
    def __init__(self):
        self._items = {}
        self._lock = threading.Lock()

    def get(self, key):
        with self._lock:
            return self._items.get(key)

    def put(self, key, value):
        with self._lock:
            self._items[key] = value

store = Store()

def remember():
    while True:
        value = store.get(('home', 1))
        if value is None:
            time.sleep(0.01)
            store.put(('home', 1), 7)
        store.put(('home', 1), None)

board = {'ines': 1}

def mark():
    while True:
        if 'ines' in board:
            time.sleep(0.02)
            board['ines'] = 2
        board['ines'] = 3

def sign_off():
    while True:
        time.sleep(0.01)
        board.pop('ines', None)

for job in (sort, sort, greet, leave, remember, remember, mark, sign_off):
    threading.Thread(target=job, daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
