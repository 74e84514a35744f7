"""Spikes of single requests, counted in the ranks while a step's tokens stand side by side, and told with the answer.

Counting is an engine's choice (`settings.py`), and what a request asks for (`tally.py`): who does not ask pays a look at an empty list. A
request's counts lie in a file for each rank, which the front end makes, reads when the answer has ended, and removes."""
