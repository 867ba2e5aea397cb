"""Linear regression and classification, many models side by side, on PyTorch: trains, serves, exports, imports."""
