"""What efa-sdk costs compared with its peers, in one run: `make bench` writes docs/benchmarks.md.

Each group is a module with a ``TITLE``, a text ``ABOUT`` of how it measures, and a function
``rows`` that takes a :class:`tools.bench.rounds.Run`, measures, and returns
:class:`tools.bench.table.Row` objects; ``__main__`` lists the groups and the seconds of each. A
group runs in a process of its own: one that fails or hangs is a row that states this.
"""
