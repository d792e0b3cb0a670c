import threading, time

left, right = threading.Lock(), threading.RLock()


def forth():
    with left:
        time.sleep(0.02)
        with right:
            pass


def back():
    time.sleep(0.4)  # long, or it hangs now and then where processors are scarce
    with right:
        time.sleep(0.001)
        with left:
            pass


def rounds():
    while True:
        pair = [threading.Thread(target=forth), threading.Thread(target=back)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()


threading.Thread(target=rounds, daemon=True).start()
print("ready", flush=True)
time.sleep(1000)
