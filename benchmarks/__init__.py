"""One command a question: each prints a table and writes JSON, naming the hardware and
the versions."""
