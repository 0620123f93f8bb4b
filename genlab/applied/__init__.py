"""What ``genlab apply`` does: files in, files out, and each kind of what a model can do with them."""
