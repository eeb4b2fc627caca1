"""`lifeboat loop`: drift, alert, retraining, gate and rollout on one machine, without a hand."""
