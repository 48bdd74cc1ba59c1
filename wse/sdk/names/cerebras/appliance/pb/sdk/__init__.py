"""Names only: see wse.sdk."""
