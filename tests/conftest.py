"""What every test may rely on."""

from __future__ import annotations

import os

# Colours and column widths of whoever runs the suite must not leak into what is compared.
os.environ.setdefault("NO_COLOR", "1")
os.environ.setdefault("COLUMNS", "120")
