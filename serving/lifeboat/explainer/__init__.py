"""The explainer: the reasons of answers, by a process of its own: none of its work is on a prediction's path."""
