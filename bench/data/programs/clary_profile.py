"""Every figure of a profile by Clary, no pictures."""

import json
import sys

from clary.data import profile, scan

with scan(sys.argv[1]) as table:
    summary = profile(table).to_dict()
print(json.dumps({"rows": summary["rows"]}))
