"""Intervals, paired tests, calibration, baselines."""
