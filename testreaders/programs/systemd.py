"""What systemd reads of each file that standard input names, by the function that
reads EnvironmentFile=: a line of JSON each, names with values in hex. The
argument is libsystemd-shared."""

import ctypes
import json
import re
import sys

load = ctypes.CDLL(sys.argv[1]).load_env_file
for path in sys.stdin:
    lines = ctypes.POINTER(ctypes.c_char_p)()
    if load(None, path.rstrip("\n").encode(), ctypes.byref(lines)) < 0:
        print("null")
        continue
    read = {}
    i = 0
    while lines and lines[i]:
        name, value = lines[i].split(b"=", 1)
        # The manager drops what has another name before it starts a service.
        if re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*", name):
            read[name.decode()] = value.hex()
        i += 1
    print(json.dumps(read))
