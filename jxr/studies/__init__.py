"""What the experiments are made of: what all share here, each kind of study in a folder."""
