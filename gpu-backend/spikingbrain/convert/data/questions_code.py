"""Questions about programs, as `questions.py` has them about other things."""

CODE_TRAINING = (
    "sort a list of numbers",
    "count the words of a text",
    "read a CSV file",
    "reverse a linked list",
    "find the shortest path in a graph",
    "check whether a number is prime",
    "parse a date",
    "compute Fibonacci numbers",
    "merge two dictionaries",
    "cache the results of a function",
    "download a file with retries",
    "draw a histogram as text",
    "validate an e-mail address",
    "walk a directory tree",
    "split a list into chunks",
    "convert Roman numerals",
    "solve a quadratic equation",
    "multiply two matrices",
    "count the lines of a file",
    "write a small HTTP server",
    "remove duplicates and keep the order",
    "search a sorted array",
    "find anagrams",
    "keep a stack and a queue",
    "format a table",
)

CODE_HELD_OUT = (
    "rotate a matrix",
    "find the longest common prefix",
    "balance brackets",
    "compress a string by its runs",
    "read a configuration file",
    "simulate a bank account",
    "compute a median",
    "flatten nested lists",
    "encode text in base 64",
    "play tic-tac-toe",
)

CODE_TEMPLATES = (
    "Write a Python function to {}.",
    "Write a JavaScript function to {} and explain it.",
    "How do I {} in Python?",
    "Write a program in C to {}.",
    "Write a Rust function to {}.",
    "Show two ways to {} and compare them.",
    "Write unit tests for a function to {}.",
    "What mistakes do people make when they {} in code?",
)

CODE_FOLLOW_UPS = (
    "Add type hints and a docstring.",
    "What is its complexity?",
    "Now handle errors.",
    "Write a test for it.",
    "Can it be shorter?",
    "Rewrite it in another language.",
    "Why does it work?",
    "What did the first version look like?",
)
