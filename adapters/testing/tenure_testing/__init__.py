"""Plays the world for the machines: what a test of an application, a store or a loop adapter needs."""
