"""The runner half: start · plan · build · verify · gate · publish · finish."""
