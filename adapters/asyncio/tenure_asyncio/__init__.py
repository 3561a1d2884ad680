"""Runs handlers on asyncio, and answers `ask` there."""
