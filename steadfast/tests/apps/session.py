"""A person at a terminal: session.py PROGRAM ARGUMENT…, with JSON arrays [typed, awaited] a line on stdin.

Each is typed once the one before was answered by what is awaited ("PROMPT": an empty prompt on a new line; a path: that it exists). Printed is what stood on the terminal: without escape
sequences, without the lines of the prompt itself (editors draw them differently), and how the program ended.
"""

import json
import os
import pty
import re
import select
import sys
import time

LONGEST_S = 60
# The real `fg` hangs behind its threads: its end is not waited for.
END_S = 2 if "SESSION_HANGS" in os.environ else LONGEST_S
# The first: back to where the cursor was.
ESCAPES = re.compile(r"\r\x1b\[[0-9]+C|\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\x07")

steps = [json.loads(line) for line in sys.stdin]
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])

seen = ""
whole = ""


def there(awaited):
    if awaited.startswith("/"):
        return os.path.exists(awaited)
    if awaited != "PROMPT":
        return awaited in seen
    return "\n" in seen and re.split("[\r\n]", seen)[-1] == "supervisor> "


def read(awaited, again=None):
    """Reads until this has come since the last step, or to the end. `again` is typed each second until then."""
    global seen, whole
    until = time.monotonic() + (LONGEST_S if awaited is not None else END_S)
    typed = time.monotonic()
    while awaited is None or not there(awaited):
        left = until - time.monotonic()
        if again and time.monotonic() - typed > 1:
            os.write(terminal, again)
            typed = time.monotonic()
        if left <= 0:
            print(f"(waited in vain for {awaited!r})")
            return False
        # What is awaited may come elsewhere.
        if not select.select([terminal], [], [], min(left, 0.05))[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            return awaited is None
        text = ESCAPES.sub("", data.decode("utf-8", "replace"))
        seen += text
        whole += text
    return True


alive = True
for typed, awaited in steps:
    if typed is not None:
        seen = ""
        os.write(terminal, typed.encode())
    # Python's readline does not notice a Ctrl-C that comes just before it waits for a key: a person presses it again.
    lost = typed == "\x03" and awaited is None
    alive = alive and read(awaited, again=b"\x03" if lost else None)
if not alive:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
echoes = {(typed or "").strip() for typed, _ in steps}
for line in whole.replace("\r\n", "\n").split("\n"):
    prompt = "supervisor> " in line
    line = line.split("\r")[-1].replace("^C", "").rstrip()
    if line and not prompt and line.strip() not in echoes:
        print(line)
print(f"exit {os.waitstatus_to_exitcode(status)}")
