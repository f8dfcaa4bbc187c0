"""``python -m lightning_gen`` is the command ``lightning-gen``."""

import sys

from lightning_gen.cli import main

sys.exit(main())
