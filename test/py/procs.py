# SPDX-License-Identifier: Apache-2.0
"""What programs do with processes, threads and signals, for the tests."""

from __future__ import annotations

import _signal
import _thread
import concurrent.futures
import contextlib
import faulthandler
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time


def square(number: int) -> int:
    """Work for other processes, which import it from here."""
    return number * number


def whoami(_: object) -> int:
    """The process that runs this."""
    return os.getpid()


def run(*command: str) -> tuple[int, str]:
    """What a command printed, and its exit code."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def run_input(text: str) -> str:
    """What came back from a command that was given a text."""
    return subprocess.run(
        ["cat"], input=text, capture_output=True, text=True, check=True
    ).stdout


def run_too_long() -> str:
    """A command that takes longer than it may."""
    try:
        subprocess.run(["sleep", "60"], timeout=0.1, check=False)
    except subprocess.TimeoutExpired:
        return "expired"
    return "finished"


def run_without_input() -> str:
    """A command finds nothing on its standard input."""
    return subprocess.run(["cat"], capture_output=True, text=True, check=True).stdout


def shell_pipe() -> str:
    """Two processes and a pipe between them."""
    with subprocess.Popen(["printf", "b\\na\\n"], stdout=subprocess.PIPE) as first:
        sorted_ = subprocess.run(
            ["sort"], stdin=first.stdout, capture_output=True, check=True
        )
    return sorted_.stdout.decode()


def mapped(method: str, count: int) -> list[int]:
    """Squares from a pool of two processes that were started in this way."""
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(square, range(count))


def mapped_by(method: str) -> bool:
    """Whether others than this process did the work of such a pool."""
    with multiprocessing.get_context(method).Pool(2) as pool:
        return os.getpid() not in pool.map(whoami, range(10))


def process_with_queue(method: str) -> object:
    """A process that sends something back through a queue."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=queue.put, args=(("put", 1),))
    process.start()
    found = queue.get(timeout=30)
    process.join()
    return found, process.exitcode


def in_threads(count: int) -> list[int]:
    """Squares from a pool of threads."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return list(pool.map(square, range(count)))


def in_processes(count: int) -> list[int]:
    """Squares from a pool of processes, as a program would make it."""
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        return list(pool.map(square, range(count)))


_kept: list[concurrent.futures.Executor] = []


def keep_pools() -> list[int]:
    """Pools that nobody shuts down."""
    threads = concurrent.futures.ThreadPoolExecutor(2)
    processes = concurrent.futures.ProcessPoolExecutor(2)
    _kept.extend([threads, processes])
    return [threads.submit(square, 3).result(), processes.submit(square, 4).result()]


def outlive(path: str, seconds: float) -> None:
    """A thread that is at work when the call is long over."""

    def later() -> None:
        time.sleep(seconds)
        pathlib.Path(path).write_text("done", encoding="ascii")

    threading.Thread(target=later).start()


def alarm(seconds: float) -> str:
    """A signal handler of one's own, while the main thread computes."""
    seen: list[str] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: seen.append("alarm"))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        end = time.monotonic() + 5
        while not seen and time.monotonic() < end:
            pass
    finally:
        signal.signal(signal.SIGALRM, before)
    return seen[0]


class Alarm(Exception):
    """What the next handler raises."""


def alarm_raises() -> None:
    """A signal handler that raises while the main thread sleeps."""

    def handler(number: int, frame: object) -> None:
        raise Alarm(f"signal {number}")

    before = signal.signal(signal.SIGALRM, handler)
    signal.alarm(1)
    try:
        time.sleep(60)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def alarm_later(seconds: float) -> None:
    """A handler that is called when the worker has nothing to do, and raises."""

    def handler(number: int, frame: object) -> None:
        raise Alarm(f"signal {number}")

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def signal_self() -> str:
    """A signal that the process sends to itself."""
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    return signal.Signals(seen[0]).name


def signals_of(way: str) -> str:
    """What a process that is started in this way is told of its signals."""
    command = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    if way == "run":
        return run(*command)[1]
    inlet, outlet = os.pipe()
    if way == "shell":
        os.system(f"exec {' '.join(command[:2])} '{command[2]}' {command[3]} >&{outlet}")
    else:
        actions = [(os.POSIX_SPAWN_DUP2, outlet, 1)]
        child = os.posix_spawnp("grep", command, os.environ, file_actions=actions)
        os.waitpid(child, 0)
    os.close(outlet)
    with open(inlet, encoding="ascii") as file:
        return file.read()


def stopped_child() -> int:
    """A child that is stopped and would ignore SIGTERM."""
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; kill -STOP $$; sleep 60"])
    while "T" not in pathlib.Path(f"/proc/{child.pid}/stat").read_text().split()[2]:
        time.sleep(0.01)
    return child.pid


# -- handlers of signals: put in place, and put back ------------------------


def put_back(name: str) -> list[object]:
    """A handler that ignores a signal, and the one before it again."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    ignored = signal.signal(number, before)
    known = callable(before) or before in (signal.SIG_DFL, signal.SIG_IGN)
    signal.signal(number, signal.getsignal(number))
    return [known, ignored is signal.SIG_IGN, signal.getsignal(number) is before]


def interrupt_here(how: str) -> str:
    """KeyboardInterrupt, in the ways in which a program does that to itself."""
    try:
        if how == "interrupt_main":
            _thread.interrupt_main()
        elif how == "in a thread":
            threading.Thread(target=_thread.interrupt_main).start()
        elif how == "raise_signal":
            signal.raise_signal(signal.SIGINT)
        else:
            os.kill(os.getpid(), signal.SIGINT)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pass
    except KeyboardInterrupt:
        return "interrupted"
    return "not interrupted"


def sleep_and_write(path: str) -> str:
    """A call that an interrupt would end."""
    pathlib.Path(path).write_text("started", encoding="ascii")
    time.sleep(0.3)
    return "slept"


def interrupt_later(seconds: float) -> None:
    """Interrupts whatever runs then."""
    threading.Timer(seconds, _thread.interrupt_main).start()


def interrupt_now_and_leave() -> None:
    """The call is over when the handler could run, or nearly so."""
    threading.Thread(target=_thread.interrupt_main).start()


def terminate_by_handler(path: str) -> None:
    """Writes into a file when SIGTERM comes, until the handler before is back."""
    before = signal.signal(
        signal.SIGTERM,
        lambda *_: pathlib.Path(path).write_text("handled", encoding="ascii"),
    )
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


# -- forked children that are ended, or look at themselves -------------------


def terminated_children(count: int) -> list[int]:
    """SIGTERM for children that have just been forked: how they ended."""
    ended = []
    for _ in range(count):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        ended.append(exit_code(child))
    return ended


def terminated_processes(count: int) -> list[int | None]:
    """The same by multiprocessing."""
    ended = []
    context = multiprocessing.get_context("fork")
    for _ in range(count):
        process = context.Process(target=time.sleep, args=(30,))
        process.start()
        process.terminate()
        process.join()
        ended.append(process.exitcode)
    return ended


def pools_without_work(count: int) -> int:
    """Pools that are ended at once."""
    for _ in range(count):
        with multiprocessing.get_context("fork").Pool(2):
            pass
    return count


# The two signals that the C library has for itself.
_C_LIBRARY = 3 << 31


def ordinary() -> None:
    """Give this process what Python expects at its start.

    Whoever runs the tests may have ignored or blocked signals.
    """
    fixed = {signal.SIGKILL, signal.SIGSTOP, 32, 33}
    for number in signal.valid_signals() - fixed:
        if signal.getsignal(number) is signal.SIG_IGN and number not in (
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _outlook() -> str:
    """What a process has of the signals, by the kernel and by Python."""
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    lines = [line for line in status.split("\n") if line.startswith("Sig")]
    handlers = {
        int(number): str(signal.getsignal(number))
        for number in signal.valid_signals()
        if signal.getsignal(number) is not signal.SIG_DFL
    }
    hooks = [
        sys.excepthook is sys.__excepthook__,
        sys.unraisablehook is sys.__unraisablehook__,
        threading.excepthook is threading.__excepthook__,
        faulthandler.is_enabled(),
        signal.signal.__module__,
        type(_signal.signal).__name__,
    ]
    kernel = [
        line[:8] + hex(int(line[8:], 16) & ~_C_LIBRARY)
        for line in lines
        if line[:6] in ("SigBlk", "SigIgn", "SigCgt")
    ]
    return f"{kernel} {sorted(handlers.items())} {hooks}"


def child_outlook() -> str:
    """What a forked child has of them."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if not child:
        os.write(outlet, re.sub(" at 0x[0-9a-f]+", "", _outlook()).encode())
        os._exit(0)
    os.close(outlet)
    os.waitpid(child, 0)
    with open(inlet, encoding="ascii") as file:
        return file.read()


# -- os.fork: the child does what careless children do -----------------------


def exit_code(child: int) -> int:
    """Waits for the end of a child."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def fork_returns(value: object) -> object:
    """The child returns to whoever called, as the parent does."""
    child = os.fork()
    if child:
        return exit_code(child), value
    return "the child", value


def fork_raises() -> int:
    """The child raises."""
    child = os.fork()
    if not child:
        raise RuntimeError("the child")
    return exit_code(child)


def fork_exits(code: int) -> int:
    """The child leaves with sys.exit, through our frames."""
    child = os.fork()
    if not child:
        sys.exit(code)
    return exit_code(child)


def fork_prints(text: str) -> int:
    """The child prints and logs, and leaves."""
    child = os.fork()
    if not child:
        print(text)
        sys.stdout.flush()
        os._exit(0)
    return exit_code(child)


def fork_lives_on(seconds: float) -> int:
    """Returns while the child still runs; both return."""
    child = os.fork()
    if not child:
        time.sleep(seconds)
    return child


def fork_in_thread() -> int:
    """The child is left with the one thread that forked, which then ends."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(os.fork()))
    thread.start()
    thread.join()
    return exit_code(found[0])


def fork_generator():
    """A generator whose child goes on to yield, too."""
    yield "before"
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    yield "after"


def children() -> list[int]:
    """The children that this process has now, without those that are dead."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    task = pathlib.Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in task.read_text(encoding="ascii").split()]
