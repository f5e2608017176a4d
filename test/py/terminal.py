# SPDX-License-Identifier: Apache-2.0
"""A terminal for a test: a pseudo-terminal in which a program runs.

terminal.py ROWS COLUMNS COMMAND...: reads requests, each with its length in
four bytes in front, and answers each in the same way:

    keys BYTES    typed
    size R C      it has another size now
    screen        answers the lines of the last whole picture
    signal N      for the program
    end           waits for the program's end, and answers how it ended, whether
                  the terminal is as it was, and whether the first screen is back
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

PICTURE = re.compile(rb"\x1b\[H(.*?)\x1b\[J", re.DOTALL)
STYLES = re.compile(rb"\x1b\[[0-9;]*[mK]")
FIRST_SCREEN = b"\x1b[?1049l"


class Terminal:
    def __init__(self, rows, columns, command):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = self.settings()
        self.written = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for descriptor in (0, 1, 2):
                os.dup2(self.slave, descriptor)
            os.closerange(3, 256)
            os.execvp(command[0], command)

    def resize(self, rows, columns):
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def settings(self):
        flags = fcntl.fcntl(self.slave, fcntl.F_GETFL)
        return termios.tcgetattr(self.slave), flags & os.O_NONBLOCK

    def read(self):
        self.written = (self.written + os.read(self.master, 65536))[-200000:]

    def screen(self):
        pictures = PICTURE.findall(self.written)
        return STYLES.sub(b"", pictures[-1]) if pictures else b""

    def end(self):
        status = None
        deadline = time.monotonic() + 20
        while status is None and time.monotonic() < deadline:
            self.drain()
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if pid else None
        while self.settings() != self.before and time.monotonic() < deadline:
            self.drain()
        self.drain()
        back = self.written.rfind(FIRST_SCREEN) > self.written.rfind(b"\x1b[J")
        return f"{status} {self.settings() == self.before} {back}".encode()

    def drain(self):
        while select.select([self.master], [], [], 0.1)[0]:
            self.read()

    def answer(self, request):
        verb, _, rest = request.partition(b" ")
        if verb == b"keys":
            os.write(self.master, rest)
        elif verb == b"size":
            self.resize(*map(int, rest.split()))
        elif verb == b"signal":
            os.kill(self.pid, int(rest))
        elif verb == b"screen":
            return self.screen()
        elif verb == b"end":
            return self.end()
        return b"ok"


def main():
    terminal = Terminal(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    while True:
        ready = select.select([0, terminal.master], [], [])[0]
        if terminal.master in ready:
            terminal.read()
        if 0 in ready:
            head = os.read(0, 4)
            if len(head) < 4:
                return
            answer = terminal.answer(os.read(0, int.from_bytes(head, "big")))
            os.write(1, len(answer).to_bytes(4, "big") + answer)


if __name__ == "__main__":
    main()
