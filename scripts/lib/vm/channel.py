# SPDX-License-Identifier: GPL-2.0
"""The host's end of the channel to the guest's session and agent (guest/agent.c)."""

import os
import selectors
import shutil
import signal
import sys
import termios
import time
import tty

LEAVE = b"\x1d"  # Ctrl-] ends the machine from a terminal
CHUNK = 65536


class Frames:
    """Cuts what came from the guest into (word, payload); "out" and "err" come in pieces."""

    def __init__(self):
        self.data = bytearray()
        self.word = None
        self.left = 0

    def feed(self, data):
        self.data += data
        while frame := self.next():
            yield frame

    def next(self):
        if self.word is None:
            head, newline, rest = self.data.partition(b"\n")
            if not newline:
                return None
            word, length = head.split(b" ")
            self.word, self.left, self.data = word.decode(), int(length), rest
        piecewise = self.word in ("out", "err")
        if not piecewise and len(self.data) < self.left or piecewise and self.left and not self.data:
            return None
        payload = bytes(self.data[:self.left])
        del self.data[:self.left]
        self.left -= len(payload)
        frame = (self.word, payload)
        if not self.left:
            self.word = None
        return frame


class Session:
    """One run: passes streams on, and remembers what the guest said of itself."""

    def __init__(self, sock, process, deadline, terminal, forward_input):
        self.sock, self.process, self.deadline = sock, process, deadline
        self.terminal, self.forward_input = terminal, forward_input
        self.frames = Frames()
        self.outgoing = bytearray()
        self.input_open = False
        self.status = None
        self.failures = []
        self.done = self.timed_out = self.left = False
        self.started = False

    def run(self):
        """Returns when the machine has ended, the time is up, or the user left."""
        self.sock.setblocking(False)
        with selectors.DefaultSelector() as selector:
            self.selector = selector
            selector.register(self.sock, selectors.EVENT_READ)
            while not self.finished():
                for key, events in selector.select(0.2):
                    self.handle(key.fileobj, events)
                self.watch_output_room()

    def finished(self):
        if self.left:
            return True
        if time.monotonic() > self.deadline:
            self.timed_out = True
            return True
        if self.process.poll() is None:
            return False
        self.receive()
        return True

    def handle(self, source, events):
        if source is self.sock:
            if events & selectors.EVENT_WRITE:
                self.send()
            if events & selectors.EVENT_READ:
                self.receive()
        else:
            self.read_input()

    def receive(self):
        try:
            while data := self.sock.recv(CHUNK):
                for word, payload in self.frames.feed(data):
                    self.act(word, payload)
            self.close_channel()
        except BlockingIOError:
            pass
        except ConnectionError:
            self.close_channel()

    def close_channel(self):
        """The machine has gone, or is about to: its end is what to wait for now."""
        if self.sock in self.selector.get_map():
            self.selector.unregister(self.sock)

    def act(self, word, payload):
        if word == "out":
            write_all(sys.stdout.fileno(), payload)
        elif word == "err":
            write_all(sys.stderr.fileno(), payload)
        elif word == "exit":
            self.status = int(payload)
        elif word == "fail":
            self.failures.append(payload.decode("utf-8", "replace"))
        elif word == "done":
            self.done = True
        elif word == "start":
            self.start_input()

    # --- to the guest ---

    def start_input(self):
        self.started = True
        if self.terminal:
            self.send_size()
        if not self.forward_input:
            self.queue("eof")
            return
        self.input_open = True
        try:
            self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        except PermissionError:  # epoll refuses plain files
            self.input_is_file = True
            self.read_input()
        self.send()

    input_is_file = False

    def read_input(self):
        data = os.read(sys.stdin.fileno(), CHUNK)
        if self.terminal and LEAVE in data:
            self.left = True
        elif data:
            self.queue("in", data)
        else:
            self.stop_input()
            self.queue("eof")

    def stop_input(self):
        self.input_open = False
        if not self.input_is_file:
            self.selector.unregister(sys.stdin.fileno())

    def send_size(self, *_):
        size = shutil.get_terminal_size()
        self.queue("size", b"%d %d" % (size.lines, size.columns))

    def queue(self, word, payload=b""):
        self.outgoing += b"%s %d\n" % (word.encode(), len(payload)) + payload

    def send(self):
        try:
            while self.outgoing:
                del self.outgoing[:self.sock.send(self.outgoing)]
                if self.input_open and self.input_is_file and not self.outgoing:
                    self.read_input()
        except BlockingIOError:
            pass
        except ConnectionError:
            self.outgoing.clear()

    def watch_output_room(self):
        """Reads no more input than the guest takes."""
        if self.sock not in self.selector.get_map():
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0)
        self.selector.modify(self.sock, events)
        if self.input_open and not self.input_is_file:
            wanted = 0 if self.outgoing else selectors.EVENT_READ
            known = sys.stdin.fileno() in self.selector.get_map()
            if wanted and not known:
                self.selector.register(sys.stdin.fileno(), wanted)
            elif known and not wanted:
                self.selector.unregister(sys.stdin.fileno())


def write_all(fd, data):
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view):]
        except BlockingIOError:
            time.sleep(0.01)


class RawTerminal:
    """Puts the user's terminal into raw mode while a guest's terminal is shown on it."""

    def __init__(self, session):
        self.session = session

    def __enter__(self):
        self.saved = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin)
        signal.signal(signal.SIGWINCH, self.session.send_size)

    def __exit__(self, *_):
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.saved)
