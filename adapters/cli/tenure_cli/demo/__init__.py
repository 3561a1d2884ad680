"""The main job, end to end and for real: a library of source files, measured by workers of which one is killed and
one comes back too late, and an audit of what they did."""
