"""Exit 0 if a server answers, and if the component named is healthy by Airflow's own account.

usage: healthy.py URL [COMPONENT]
"""

import json
import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=5) as answer:
    body = answer.read()
for component in sys.argv[2:]:
    if json.loads(body)[component]["status"] != "healthy":
        sys.exit(f"{component} is not healthy: {body.decode()}")
