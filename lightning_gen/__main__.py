"""``python -m lightning_gen`` is the command ``lightning-gen``."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the working directory, whose files would take the place of any module

from lightning_gen.cli import main

sys.exit(main())
