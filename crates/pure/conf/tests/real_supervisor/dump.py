"""Reads configurations with the real Supervisor and writes what it made of them.

stdin: one path of a supervisord.conf a line. stdout: one JSON object a line; the first one tells the node name.
Each configuration is read by a ServerOptions of its own, as `supervisord -n -c PATH` would, up to the point where it would start.
"""
import io
import json
import platform
import shlex
import socket
import sys
import warnings

warnings.simplefilter("ignore")

from supervisor import datatypes, events, options

NAMES = {
    datatypes.Automatic: "AUTO",
    datatypes.RestartUnconditionally: "always",
    datatypes.RestartWhenExitUnexpected: "unexpected",
    False: False,
}

FIELDS = (
    options.ProcessConfig.req_param_names + options.ProcessConfig.optional_param_names
)


def plain(value):
    if value is None or isinstance(value, (str, int, list, dict)):
        return value
    return NAMES[value]


def read(path):
    opts = options.ServerOptions()
    opts.stderr = io.StringIO()
    try:
        opts.realize(["-n", "-c", path], doc="", progname="supervisord")
    except SystemExit:
        return {"refused": opts.stderr.getvalue()}
    except Exception as error:  # the real one ends with a traceback
        return {"refused": "%s: %s" % (type(error).__name__, error)}
    section = opts.configroot.supervisord
    groups = []
    for group in opts.process_group_configs:
        processes = []
        for process in group.process_configs:
            fields = {name: plain(getattr(process, name)) for name in FIELDS}
            try:
                fields["argv"] = shlex.split(process.command)
            except ValueError as error:
                fields["argv"] = str(error)
            processes.append(fields)
        told = {"name": group.name, "priority": group.priority, "processes": processes}
        if isinstance(group, options.EventListenerPoolConfig):
            told["buffer_size"] = group.buffer_size
            told["events"] = sorted(events.getEventNameByType(event) for event in group.pool_events)
        if isinstance(group, options.FastCGIGroupConfig):
            sock = group.socket_config
            owner, mode = getattr(sock, "owner", None), getattr(sock, "mode", None)
            told["socket"] = {
                "url": sock.url, "owner": list(owner) if owner else None, "mode": mode, "backlog": sock.get_backlog(),
            }
        groups.append(told)
    servers = []
    for config in opts.server_configs:
        server = {k: config[k] for k in ("username", "password")}
        if config["family"] == socket.AF_UNIX:
            server.update(file=config["file"], chmod=config["chmod"], chown=list(config["chown"]))
        else:
            server.update(host=config["host"], port=config["port"])
        servers.append(server)
    top = {
        name: getattr(opts, name)
        for name in (
            "logfile logfile_maxbytes logfile_backups loglevel pidfile umask nodaemon silent minfds minprocs"
            " nocleanup childlogdir strip_ansi identifier directory uid"
        ).split()
    }
    for name in ("nodaemon", "silent", "nocleanup", "strip_ansi"):
        top[name] = bool(getattr(section, name))
    top["environment"] = section.environment
    return {"groups": groups, "servers": servers, "supervisord": top, "warnings": opts.parse_warnings}


print(json.dumps({"node": platform.node()}))
for line in sys.stdin:
    print(json.dumps(read(line.rstrip("\n"))))
    sys.stdout.flush()
