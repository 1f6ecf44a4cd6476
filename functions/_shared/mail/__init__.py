"""Raw mail → `Message`: sender proof, loop rules, specifications. `read_message(raw)` is the only door."""

from functions._shared.mail.read import read_message as read_message
