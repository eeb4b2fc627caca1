"""Clients that nobody here wrote, each in an environment of its own, which `make conformance` makes: Seldon's, KServe's
and MLServer's. Each program here asks over HTTP and over gRPC and prints what it was answered; `test_clients.py` holds
that against a request of our own. tritonclient and MLflow's live with the other tests' packages: `test_v2.py`,
`rpc/test_rpc.py`, `test_instances.py`.
"""
