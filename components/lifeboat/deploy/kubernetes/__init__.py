"""The deploy step's target on Kubernetes: a SeldonDeployment, rolled out in steps that Prometheus judges."""
