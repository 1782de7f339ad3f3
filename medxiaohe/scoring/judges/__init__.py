"""Judges: what decides where no parser can. Any model may be one; none is believed before its self-test."""
