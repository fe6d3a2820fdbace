"""Runs: configurations, the training loop, tests, forecasts."""
