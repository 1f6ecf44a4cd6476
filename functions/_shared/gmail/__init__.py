"""Our hands in one mailbox: read what arrived, answer in its thread, keep the watch alive."""
