"""Encoder and decoder networks. Sizes come from the Schema; a name picks one."""
