"""What python-dotenv reads of each file that standard input names: a line of
JSON each, names with values in hex."""

import json
import sys

from dotenv import dotenv_values

for path in sys.stdin:
    try:
        read = dotenv_values(path.rstrip("\n"))
        print(json.dumps({name: value.encode().hex() for name, value in read.items() if value is not None}))
    except ValueError:
        print("null")
