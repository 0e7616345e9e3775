"""Laws of the code: posteriors (from the encoder's output) and priors."""
