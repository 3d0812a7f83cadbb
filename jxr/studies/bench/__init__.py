"""How fast: each case timed beside a library's, and how time and memory grow."""
