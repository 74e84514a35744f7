"""Small functions to write in Python, each with assertions that hold where it is right."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    wanted: str
    """Follows "Write a Python function"."""
    checks: str


TASKS = (
    Task("`add(a, b)` that returns the sum of two numbers", "assert add(2, 3) == 5 and add(-1, 1) == 0"),
    Task("`is_even(n)` that tells whether an integer is even", "assert is_even(4) and not is_even(7) and is_even(0)"),
    Task("`factorial(n)` that returns n!", "assert factorial(0) == 1 and factorial(5) == 120"),
    Task(
        "`fibonacci(n)` that returns the n-th Fibonacci number, where fibonacci(0) is 0 and fibonacci(1) is 1",
        "assert [fibonacci(n) for n in range(8)] == [0, 1, 1, 2, 3, 5, 8, 13]",
    ),
    Task("`reverse(text)` that returns a string backwards", "assert reverse('abc') == 'cba' and reverse('') == ''"),
    Task(
        "`is_palindrome(text)` that tells whether a string reads the same backwards",
        "assert is_palindrome('level') and not is_palindrome('hello')",
    ),
    Task("`largest(numbers)` that returns the largest number of a list", "assert largest([3, 9, 2]) == 9 and largest([-5, -2]) == -2"),
    Task(
        "`count_vowels(text)` that counts the vowels a, e, i, o and u in a string",
        "assert count_vowels('education') == 5 and count_vowels('xyz') == 0",
    ),
    Task(
        "`is_prime(n)` that tells whether an integer is prime",
        "assert [n for n in range(20) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19]",
    ),
    Task(
        "`unique(items)` that returns a list without duplicates, in the order of first appearance",
        "assert unique([3, 1, 3, 2, 1]) == [3, 1, 2]",
    ),
    Task("`flatten(lists)` that joins a list of lists into one list", "assert flatten([[1, 2], [], [3]]) == [1, 2, 3]"),
    Task(
        "`word_counts(text)` that returns a dict of how often each word of a string occurs, split at blanks",
        "assert word_counts('a b a') == {'a': 2, 'b': 1}",
    ),
    Task("`gcd(a, b)` that returns the greatest common divisor of two positive integers", "assert gcd(12, 18) == 6 and gcd(7, 13) == 1"),
    Task(
        "`celsius(fahrenheit)` that converts a temperature to Celsius", "assert abs(celsius(212) - 100) < 1e-9 and abs(celsius(32)) < 1e-9"
    ),
    Task(
        "`sort_by_length(words)` that returns the words sorted by their length",
        "assert sort_by_length(['ccc', 'a', 'bb']) == ['a', 'bb', 'ccc']",
    ),
    Task(
        "`binary_search(items, target)` that returns the index of target in a sorted list, or -1",
        "assert binary_search([1, 3, 5, 7], 5) == 2 and binary_search([1, 3], 4) == -1",
    ),
    Task(
        "`sum_of_digits(n)` that returns the sum of the decimal digits of a non-negative integer",
        "assert sum_of_digits(1234) == 10 and sum_of_digits(0) == 0",
    ),
    Task("`merge(a, b)` that merges two sorted lists into one sorted list", "assert merge([1, 4], [2, 3, 5]) == [1, 2, 3, 4, 5]"),
    Task(
        "`transpose(matrix)` that swaps rows and columns of a list of lists",
        "assert [list(row) for row in transpose([[1, 2, 3], [4, 5, 6]])] == [[1, 4], [2, 5], [3, 6]]",
    ),
    Task(
        "`balanced(text)` that tells whether the brackets (), [] and {} in a string are balanced",
        "assert balanced('([]{})') and not balanced('([)]') and not balanced('(')",
    ),
)
