"""The experiments, by the name of their task on the command line."""

from exp.long_term_forecast import LongTermForecast

EXPERIMENTS = {"long_term_forecast": LongTermForecast}
