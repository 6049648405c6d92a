"""Is the server of this container ready? Exit status 0 if so; prints what it said.

Without urllib, whose import takes longer than the question.
"""

import http.client
import os
import sys

TIMEOUT_S = 5


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("UNIREPLKNET_PORT", "8000")), TIMEOUT_S)
    connection.request("GET", "/health/ready")
    response = connection.getresponse()
    sys.stdout.write(response.read(500).decode())
    return 0 if response.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
