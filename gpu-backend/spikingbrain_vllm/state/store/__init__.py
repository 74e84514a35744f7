"""States that wait to be imported or fetched: files of one directory, under names that no client chooses. Nothing here imports vLLM."""
