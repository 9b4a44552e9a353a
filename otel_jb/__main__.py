"""`python -m otel_jb` is `otel-jb`."""

import sys

from otel_jb.cli.main import main

sys.exit(main())
