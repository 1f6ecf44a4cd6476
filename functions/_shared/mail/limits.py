"""How much of a mail we are willing to read. Each bound keeps the worst case under two seconds and 300 MB.

`MAX_MAIL_BYTES` is what Gmail lets anybody send; the others are many times what a mail client writes.
"""

from __future__ import annotations

MAX_MAIL_BYTES = 36_700_160
MAX_HEADER_BYTES = 256 * 1024
MAX_HEADERS = 500
MAX_HEADER_LENGTH = 16 * 1024
MAX_PARTS = 200
MAX_DEPTH = 10
MAX_SPEC_BYTES = 1 << 20
MAX_SPECS = 20
MAX_BODY_BYTES = 1 << 20
MAX_HTML_CHARACTERS = 160 * 1024
MAX_HTML_DEPTH = 50
MAX_TOTAL_BYTES = 8 << 20
MAX_ARCHIVES = 3
MAX_ZIP_BYTES = 4 << 20
MAX_ZIP_ENTRIES = 20
MAX_UNPACKED_BYTES = 2 << 20
MAX_WRITTEN_CHARACTERS = 64 * 1024
