"""Regression with inference on exact sums: logistic, linear and Poisson."""
