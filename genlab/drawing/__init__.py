"""What ``genlab sample`` does: what is wanted of a model, each kind of drawing, and the files it becomes."""
