"""`python -m spikingbrain_vllm.serve.probe PORT KEY-FILE`: exit code 0 where the replica on this machine is ready. For orchestrators whose
probes have no place for a key. Imports nothing large: it runs every few seconds."""

import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

SECONDS = 5


def is_ready(port: int, key: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/ready", headers={"authorization": f"Bearer {key}"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").split()[0]) else 1)
