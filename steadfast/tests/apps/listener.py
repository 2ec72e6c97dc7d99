"""An event listener that writes down what it hears. Usage: listener.py FILE [MODE [ARGUMENT]]

ok            every event is processed
fail-first    each event is rejected once
junk          what follows the first event is no result
badresult     the first result line has no number
slow FILE     an event is answered when FILE is there
silent        the first event is never answered
flood         never ready: writes without end
closed        reads nothing: closes its stdin after READY
"""
import os
import sys
import time

FILE = open(sys.argv[1], "a", encoding="utf-8")
MODE = sys.argv[2] if len(sys.argv) > 2 else "ok"


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def result(text):
    say("RESULT %d\n%s" % (len(text), text))


if MODE == "flood":
    while True:
        say("x" * 65536)
if MODE == "closed":
    os.close(0)
    say("READY\n")
    time.sleep(86400)

rejected = set()
while True:
    say("READY\n")
    head = sys.stdin.readline()
    if not head:
        break
    words = dict(word.split(":", 1) for word in head.split())
    payload = sys.stdin.read(int(words["len"]))
    FILE.write("%s%s\n--\n" % (head, payload))
    FILE.flush()
    if MODE == "junk":
        say("no result\n")
        time.sleep(86400)
    if MODE == "badresult":
        say("RESULT many\n")
        time.sleep(86400)
    if MODE == "silent":
        time.sleep(86400)
    if MODE == "slow":
        while not os.path.exists(sys.argv[3]):
            time.sleep(0.01)
    if MODE == "fail-first" and words["serial"] not in rejected:
        rejected.add(words["serial"])
        result("FAIL")
        continue
    result("OK")
