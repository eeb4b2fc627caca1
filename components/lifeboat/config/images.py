"""Names of the container images that the compiled pipeline refers to."""

# A name, never pulled as it stands: `lifeboat compile --image` puts a registry's digest in its place.
COMPONENTS_IMAGE = "lifeboat/components:0.1.0"
