"""Samplers: laws fitted to the codes of a trained model, from which new codes are drawn."""
