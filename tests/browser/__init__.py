"""What only a real browser can judge: where the boxes of a mail stand, what its colours are, and that nothing in it runs."""
