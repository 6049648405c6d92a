"""Classify a file with a running server: python examples/classify.py image photo.jpg [http://127.0.0.1:8000]"""

import json
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

modality, file, address, *_ = [*sys.argv[1:], "http://127.0.0.1:8000"]
request = Request(
    f"{address}/classify/{modality}?top_k=3", Path(file).read_bytes(), {"Content-Type": "application/octet-stream"}
)
try:
    with urlopen(request, timeout=30) as response:
        for item in json.load(response)["predictions"]:
            sys.stdout.write(f"{item['score']:.3f}  {item['label']}\n")
except HTTPError as error:
    sys.exit(json.load(error)["detail"])
