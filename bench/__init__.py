"""What `make bench` runs: speed measured side by side in one run, for these machines are noisy and only ratios hold."""
