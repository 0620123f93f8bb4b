"""Train, sweep, resume, sample and evaluate the classic generative models from one command line."""

__version__ = "0.1.0"
