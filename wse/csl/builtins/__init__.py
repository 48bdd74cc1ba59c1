"""Pass 2, continued: the builtins.  `table` holds one row for each; the other modules fill it."""
