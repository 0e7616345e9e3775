"""Tables of mixed columns (numbers, truths, categories, dates) and their numeric features."""
