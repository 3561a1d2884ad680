"""The pytest plugin: fixtures for tests of an application that runs on tenure.

pytest loads this module in every run of everyone who installed tenure, so it imports pytest alone; what a fixture
needs is imported inside of it.
"""
