"""The contract of predictors, and each predictor."""
