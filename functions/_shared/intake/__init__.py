"""Mail in: what arrived since our cursor, judged and stored. Push and poll both come through here."""
