"""Names, types, values and checks: syntax trees to IR."""
