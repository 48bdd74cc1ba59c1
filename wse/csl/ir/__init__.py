"""The intermediate representation: data types that `sema` produces and `codegen` consumes, and passes over them."""
