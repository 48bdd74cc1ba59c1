"""Text to syntax trees: lexer, parser, errors with places."""
