# Sourced by the other scripts: the frequencies of M4.

m4_patterns="Yearly Quarterly Monthly Weekly Daily Hourly"
