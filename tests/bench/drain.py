# SPDX-License-Identifier: MIT
"""
The helper of the benchmarks: it takes registrations and empties the rings, so that the timed
programs always find room. It does nothing else, so the result is the program's part of the cost.
"""
import os
import pathlib
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from ring import HEAD, TAIL, RingReceiver  # noqa: E402  pylint: disable=wrong-import-position

PAUSE = 0.02  # seconds; a ring has room for the records of one processor in some 100 ms


class Drain(threading.Thread):
    """Use it in a `with`; `path` is the value for SOCKTUNE_HELPER, `records` the number of records
    read."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.path = os.path.join(directory, "helper.sock")
        self.helper = RingReceiver(pathlib.Path(self.path))
        self.ended = threading.Event()
        self.records = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.ended.set()
        self.join()
        self.helper.close()

    def run(self):
        while not self.ended.is_set():
            self.helper.take(PAUSE)
            for ring in self.helper.rings:
                head = ring.get(HEAD)
                self.records += head - ring.tail
                ring.tail = head
                ring.put(TAIL, head)
                ring.beat()
