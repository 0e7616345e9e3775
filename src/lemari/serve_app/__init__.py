"""The score service: one detector behind HTTP on the own machine."""
