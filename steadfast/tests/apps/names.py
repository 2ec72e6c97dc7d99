"""Every name that Supervisor has, asked of Supervisor itself: a line `area name` for each.

Keys are the ones that it asks its own parser for while it reads a file with one section of every kind.
"""

import io
import os
import re
import sys
import tempfile

sys.argv = ["/nonexistent/bin/supervisord"]

from supervisor import events, options, rpcinterface, supervisorctl, xmlrpc

FILE = """
[supervisord]
[unix_http_server]
file = /tmp/x.sock
[inet_http_server]
port = 1
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
[program:a]
command = true
[eventlistener:b]
command = true
events = TICK_5
[fcgi-program:c]
command = true
socket = unix:///tmp/c.sock
[group:d]
programs = e
[program:e]
command = true
[include]
files = none
"""

asked = set()


def kind(section):
    name = str(section).split(":")[0]
    return f"{name}:x" if ":" in str(section) else name


class Parser(options.UnhosedConfigParser):
    def saneget(self, section, option, *args, **kwargs):
        asked.add((kind(section), option))
        return super().saneget(section, option, *args, **kwargs)

    def getdefault(self, option, *args, **kwargs):
        asked.add((kind(self.mysection), option))
        return super().getdefault(option, *args, **kwargs)

    def get(self, section, option, **kwargs):
        asked.add((kind(section), option))
        return super().get(section, option, **kwargs)

    def has_option(self, section, option):
        asked.add((kind(section), option))
        return super().has_option(section, option)


options.UnhosedConfigParser = Parser
with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
    file.write(FILE)
    file.flush()
    server = options.ServerOptions()
    server.here = os.path.dirname(file.name)
    server.read_config(file.name)
    client = options.ClientOptions()
    client.read_config(file.name)

names = {("key", f"[{section}] {option}") for section, option in asked if "." not in option}
for section in re.findall(r"^\[(.*)\]$", FILE, re.M):
    names.add(("section", f"[{kind(section)}]"))
names.add(("section", "[ctlplugin:x]"))
for program, made in (("supervisord", options.ServerOptions()), ("supervisorctl", options.ClientOptions())):
    for option in made.options_map:
        names.add((f"option of {program}", option))
for name in dir(supervisorctl.DefaultControllerPlugin):
    if name.startswith("do_"):
        names.add(("command", name[3:]))
for namespace, found in (("supervisor", rpcinterface.SupervisorNamespaceRPCInterface), ("system", xmlrpc.SystemNamespaceRPCInterface)):
    for name in dir(found):
        if not name.startswith("_") and callable(getattr(found, name)):
            names.add(("method", f"{namespace}.{name}"))
for name in vars(events.EventTypes):
    if name.isupper():
        names.add(("event", name))
for name in vars(xmlrpc.Faults):
    if name.isupper():
        names.add(("fault", name))
for signal in ("TERM", "INT", "QUIT", "HUP", "CHLD", "USR2"):
    names.add(("signal", signal))
for area, name in sorted(names):
    print(area, "\t", name, sep="")
