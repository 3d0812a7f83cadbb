"""Better classifiers, other styles, shortcuts, and what blur does to all of them."""
