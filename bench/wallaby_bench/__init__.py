"""Measures WALlaby against PostgreSQL's own readers, in one session over the same data. See bench/README.md."""
