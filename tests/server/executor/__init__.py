"""Seldon's executor 1.17.1, the service orchestrator, in front of our model server.

`recorded.json` holds what a real one sent to the model server and to the drift detector, `recorded_rpc.json` what it
sent to the detector of calls of gRPC; the two `test_executor.py` of `tests/server` and `tests/detector` replay them.
The tests in this folder run an executor of the user's, whose path is in TEST_SELDON_EXECUTOR. Its source is the folder
`executor` of github.com/SeldonIO/seldon-core, tag v1.17.1: link the folder `operator` beside it as
`executor/_operator`, and `go build ./cmd/executor`.
"""
