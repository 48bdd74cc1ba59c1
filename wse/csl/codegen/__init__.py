"""Pass 3, code generation: IR to machine instructions, registers, addresses and the artifact."""
