"""Text classification by bags of hashed n-grams, on MXNet and GluonNLP: trains, serves, exports."""
