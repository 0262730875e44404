"""An issue, from file to inbox and back: content -> rendering -> delivery -> tracking."""
