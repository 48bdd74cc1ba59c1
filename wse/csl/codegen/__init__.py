"""IR to instructions, registers and images."""
