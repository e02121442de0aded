"""The event loop, compiled. NumPy arrays only; ``tables`` says what their columns are."""
