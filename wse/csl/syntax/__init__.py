"""Pass 1, parsing: text to tokens, tokens to the syntax tree, and the errors that all passes report."""
