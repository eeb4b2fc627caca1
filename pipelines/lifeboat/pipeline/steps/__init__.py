"""The processes of a local run's steps: one for each step, forked from one that has loaded their libraries."""
