"""A home of the first edition: made at commit d953320, the last before the packages were one.

Four runs of the Titanic (all rows, and the first 599, 699 and 499), of which the first and then, by `lifeboat promote`,
the second was the champion; 30 predictions, 12 of them with a truth from nobody in particular; the retrain trigger
started once. Stopped, then without runs, logs, reports, locks and the trigger's token; the machine's paths replaced.
"""
