"""Every measured number in README.md and docs/, by one command: `python -m benchmarks.figures [NAME...]`.

A measurement is a command and what is kept of its JSON, in `benchmarks/results/NAME.json`, with the machine, the
versions and the date. A figure is a table or a plot made of one, between markers in a page:

    <!-- figure: NAME -->
    ...
    <!-- end of figure -->

Pages follow from the kept results alone, which `tests/figures` holds.
"""
