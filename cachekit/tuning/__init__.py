"""Tuning: searching a strategy's parameters and predictor for the best quality at a speed, or the other way round."""
