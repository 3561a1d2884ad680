"""Runs handlers on trio, and answers `ask` there."""
