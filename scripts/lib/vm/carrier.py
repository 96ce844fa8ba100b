# SPDX-License-Identifier: GPL-2.0
"""Carries bytes between the user and the guest until the guest is done.

The channel speaks the frames described in guest/agent.c. The console is the
kernel's log. The guest ends by writing END to its console and "done" to the
channel; only both together mean that nothing is still on its way.
"""
import errno
import fcntl
import os
import selectors
import struct
import sys
import termios
import time

END = b"sluice: end of log"
CHUNK = 65536
LEAVE = b"\x1d"    # Ctrl-] on a terminal ends the guest
LAST_WORDS_SECONDS = 10


class OutputClosed(Exception):
    """Nobody reads our standard output any more."""


def write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            time.sleep(0.01)
        except BrokenPipeError:
            raise OutputClosed()


class Carrier:
    def __init__(self, process, channel, log, deadline, terminal):
        self.process = process
        self.channel = channel
        self.log = log
        self.deadline = deadline
        self.terminal = terminal
        self.exit_status = None      # the command's
        self.failures = []           # what the guest's session complained about
        self.started = False
        self.done = False
        self.timed_out = False
        self.console_ended = False
        self.left = False            # by the user
        self._received = b""
        self._to_guest = bytearray()
        self._input_held = False
        self._console_tail = b""
        self._selector = selectors.DefaultSelector()

    # --- from the guest ------------------------------------------------------

    def _handle_frame(self, word, payload):
        if word == "out":
            write_all(1, payload)
        elif word == "err":
            write_all(2, payload)
        elif word == "exit":
            self.exit_status = int(payload)
        elif word == "fail":
            self.failures.append(payload.decode(errors="replace"))
        elif word == "start":
            self.started = True
            self._start_input()
        elif word == "done":
            self.done = True
            self.deadline = min(self.deadline, time.monotonic() + LAST_WORDS_SECONDS)

    def _read_channel(self):
        try:
            data = self.channel.recv(CHUNK)
        except OSError as error:
            data = b""
            if error.errno == errno.EAGAIN:
                return
        if not data:
            self._selector.unregister(self.channel)
            return
        self._received += data
        while b"\n" in self._received:
            header, rest = self._received.split(b"\n", 1)
            word, length = header.decode().split(" ")
            if len(rest) < int(length):
                return
            self._received = rest[int(length):]
            self._handle_frame(word, rest[:int(length)])

    def _read_console(self):
        data = os.read(self.process.stdout.fileno(), CHUNK)
        if not data:
            self._selector.unregister(self.process.stdout)
            self.console_ended = True
            return
        self.log.write(data)
        self.log.flush()
        self._console_tail = (self._console_tail + data)[-CHUNK:]

    def _log_is_complete(self):
        return END in self._console_tail

    # --- to the guest --------------------------------------------------------

    def _send(self, word, payload=b""):
        self._to_guest += b"%s %d\n" % (word.encode(), len(payload)) + payload
        self._watch_channel()

    def _watch_channel(self):
        events = selectors.EVENT_READ
        if self._to_guest:
            events |= selectors.EVENT_WRITE
        try:
            self._selector.modify(self.channel, events)
        except KeyError:
            self._to_guest.clear()

    def _write_channel(self):
        try:
            sent = self.channel.send(self._to_guest[:CHUNK])
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._to_guest)
        del self._to_guest[:sent]
        self._release_input()
        self._watch_channel()

    def _start_input(self):
        if self.terminal:
            self.send_window_size()
        if self.terminal or not os.isatty(0):
            try:
                self._selector.register(0, selectors.EVENT_READ)
                return
            except (PermissionError, ValueError, OSError):
                # A plain file (always ready) or no standard input at all.
                self._send_whole_file()
                return
        self._send("eof")

    def _send_whole_file(self):
        try:
            while data := os.read(0, CHUNK):
                self._send("in", data)
        except OSError:
            pass
        self._send("eof")

    def _read_input(self):
        try:
            data = os.read(0, CHUNK)
        except OSError:
            data = b""
        if self.terminal and LEAVE in data:
            self.left = True
        if data:
            self._send("in", data)
            self._hold_input()
        else:
            self._selector.unregister(0)
            self._send("eof")

    def _hold_input(self):
        """Reads no more than the guest takes; _write_channel goes on when it has."""
        if len(self._to_guest) > 4 * CHUNK:
            self._selector.unregister(0)
            self._input_held = True

    def _release_input(self):
        if self._input_held and len(self._to_guest) < CHUNK:
            self._input_held = False
            self._selector.register(0, selectors.EVENT_READ)

    def send_window_size(self):
        size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
        rows, columns = struct.unpack("HHHH", size)[:2]
        if rows and columns:
            self._send("size", b"%d %d" % (rows, columns))

    # --- the loop ------------------------------------------------------------

    def _finished(self):
        if self.done and self._log_is_complete():
            return True
        return self.console_ended or self.left

    def _step(self, timeout):
        for key, events in self._selector.select(timeout):
            if key.fileobj is self.process.stdout:
                self._read_console()
            elif key.fileobj is self.channel and events & selectors.EVENT_READ:
                self._read_channel()
            elif key.fileobj is self.channel:
                self._write_channel()
            elif key.fileobj == 0:
                self._read_input()

    def carry(self):
        """Returns when the guest is done, gone, or out of time."""
        self.channel.setblocking(False)
        self._selector.register(self.channel, selectors.EVENT_READ)
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        while not self._finished():
            left = self.deadline - time.monotonic()
            if left <= 0:
                self.timed_out = True
                return
            self._step(min(left, 3600))
        # A guest that died may have left words in the channel.
        while self.channel in self._selector.get_map() and not self.done:
            if not self._selector.select(0):
                break
            self._step(0)
        sys.stdout.flush()
