"""What ``genlab runs`` does with run folders."""
