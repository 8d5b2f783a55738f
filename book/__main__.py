"""``python -m book [_build]`` renews the record of running times after a cold build."""

import sys

from .times import write_record

write_record(sys.argv[1] if len(sys.argv) > 1 else "_build")
