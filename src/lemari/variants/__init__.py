"""Variants: one function each, which composes an Autoencoder. Its signature is its options."""
