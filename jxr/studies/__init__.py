"""What the experiments are made of: cached features, restorers, heads, the whole report."""
