"""The faults of the flash sale: kill -9 by a schedule that a seed decides.

Each kind of process is killed so many times, spread over the waves of the sale: the sale of the wave is under way when
the blow falls, and the process comes back after a moment. A thread for each fault, which lives until end(): a process
gets its signal of the parent's death when the thread that started it ends."""

import dataclasses
import random
import threading
import time


@dataclasses.dataclass
class Fault:
    wave: int
    delay: float      # seconds after the wave began
    kind: str
    choice: float     # which of the processes of that kind
    downtime: float   # seconds until it is started again


@dataclasses.dataclass
class Blow:
    at: float         # seconds since the sale began
    kind: str
    name: str
    sold: int         # orders that buyers had been told of
    back: float       # seconds until it was ready again


def schedule(seed, kinds, times, waves):
    """`times` faults of each kind, in different waves, none in the last."""
    rng = random.Random(seed)
    faults = []
    for kind in kinds:
        # One in each of `times` equal stretches of the sale: a slow one is back before the next.
        stretch = (waves - 1) / times
        for i in range(times):
            at = int(i * stretch + rng.random() * max(stretch - 1, 0))
            faults.append(Fault(at, rng.random() * 0.8, kind, rng.random(), 0.1 + rng.random() * 0.9))
    return sorted(faults, key=lambda fault: (fault.wave, fault.delay))


class Striker:
    """Carries the schedule out; start_wave() lets the faults of a wave begin."""

    def __init__(self, shop, faults, sale, say):
        self.shop, self.faults, self.sale, self.say = shop, faults, sale, say
        self.blows, self.errors = [], []
        self.threads = []
        self.is_over = threading.Event()
        self.began = time.monotonic()
        self.locks = {part.name: threading.Lock() for part in shop.parts}

    def start_wave(self, number):
        for fault in (f for f in self.faults if f.wave == number):
            done = threading.Event()
            thread = threading.Thread(target=self.live, args=(fault, done), daemon=True)
            thread.start()
            self.threads.append((thread, done))

    def live(self, fault, done):
        self.strike(fault)
        done.set()
        self.is_over.wait()

    def strike(self, fault):
        try:
            time.sleep(fault.delay)
            parts = self.shop.of_kind(fault.kind)
            part = parts[int(fault.choice * len(parts))]
            with self.locks[part.name]:
                at, sold = time.monotonic(), len(self.sale.orders)
                part.kill()
                time.sleep(fault.downtime)
                part.start(again=True)
                blow = Blow(at - self.began, fault.kind, part.name, sold, time.monotonic() - at)
            self.blows.append(blow)
            self.say(f"  {blow.at:6.1f} s  kill -9 {blow.name}, back after {blow.back:.1f} s; {blow.sold} sold before")
        except Exception as error:  # noqa: BLE001: told by the thread that waits
            self.errors.append(f"{fault.kind}: {error}")

    def wait(self):
        """Until every fault has struck, and what it ended is back."""
        for _thread, done in self.threads:
            done.wait()

    def end(self):
        self.is_over.set()
        for thread, _done in self.threads:
            thread.join()
