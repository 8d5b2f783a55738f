"""The package side by side with others: ``python -m benchmarks``, or ``./task bench``.

A module here holds one subject. Its ``report()`` returns the text of a table, which is printed and
written to ``_build/benchmarks/<subject>.md``; what it shares with the others is in `harness`.
`peers` and `reference`, with its C, hold what the engine is compared with.
"""
