"""What is done with a fitted model: pure functions, which surfaces parse for and show."""
