"""Hyperparameter tuning jobs: what to try next, the training jobs that try it, and which of them is the best."""
