"""Outlives the demo by a moment, to end what the demo leaves: `python -m tenure_cli.demo.reaper`.

It leads the process group of the demo's workers, and reads a pipe whose other end only the demo has. However the demo
ends, the pipe closes, and the group is killed, itself included, a stopped worker too. A group cannot be mistaken for
another one, as an id that was used again could be: it exists for as long as its leader does.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Wait for the end of stdin, then kill the group."""
    # The kernel hangs up a group with a stopped member when the demo dies: we have to outlive that.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if os.getpgrp() != os.getpid():
        sys.exit("the reaper must lead a process group of its own, since it ends by killing its group")
    os.write(1, b"ready\n")
    while os.read(0, 4_096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
