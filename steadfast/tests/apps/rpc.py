"""Calls XML-RPC methods of a supervisord: rpc.py SOCKET, then one JSON array [method, argument…] a line on stdin."""

import json
import sys
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport

proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, "unix://" + sys.argv[1]))
for line in sys.stdin:
    method, *arguments = json.loads(line)
    call = proxy
    for part in method.split("."):
        call = getattr(call, part)
    try:
        value = json.dumps(call(*arguments), sort_keys=True, default=str)
    except xmlrpc.client.Fault as fault:
        value = f"Fault {fault.faultCode} {fault.faultString}"
    except xmlrpc.client.ProtocolError as error:
        value = f"ProtocolError {error.errcode}"
    print(f"{method}{tuple(arguments)!r} = {value}")
