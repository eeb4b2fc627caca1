"""The protocols over gRPC: adapters over the data plane, as `protocols` has them for HTTP."""
