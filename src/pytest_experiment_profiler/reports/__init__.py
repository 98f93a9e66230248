"""Results → text: pure functions, no printing."""
