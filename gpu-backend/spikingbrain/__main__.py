"""`python -m spikingbrain`."""

import sys

from spikingbrain.cli.main import main

sys.exit(main())
