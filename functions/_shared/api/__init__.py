"""The API: specifications handed in and looked at, by whatever HTTP door."""
