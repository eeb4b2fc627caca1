#!/usr/bin/env python3
"""Images by digest: build once, then pull, sign, attest, verify, copy, and write into an overlay that same digest.

The file DIGESTS is JSON, {"model-server": "sha256:..."}. Runs make, docker (with buildx), cosign and gcloud.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What runs on a cluster; the Makefile knows where each is built from.
IMAGES = ("components", "drift-detector", "explainer", "model-server", "retrain-trigger", "tracking")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ISSUER = "https://token.actions.githubusercontent.com"
Options = argparse.Namespace


def push(options: Options) -> None:
    """Builds every image with its SBOM and provenance, pushes it without a tag, and writes DIGESTS."""
    options.digests.write_text(json.dumps({name: _build(name, options) for name in IMAGES}, indent=1) + "\n")


def _build(name: str, options: Options) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        metadata = Path(scratch) / "metadata.json"
        _run("make", "--no-print-directory", f"image-{name}", f"REGISTRY={options.registry}",
             f"REVISION={options.revision}", f"ATTESTED={metadata}")  # fmt: skip
        return str(json.loads(metadata.read_text())["containerimage.digest"])


def pull(options: Options) -> None:
    """Fetches the images and gives them the names and the tag that the overlay `kind` has."""
    for name, image in _images(options):
        _run("docker", "pull", "--quiet", image)
        _run("docker", "tag", image, f"lifeboat/{name}:{options.tag}")


def sign(options: Options) -> None:
    """Signs without a key: the certificate names this workflow, and the log is public."""
    for _, image in _images(options):
        _run("cosign", "sign", "--yes", image)


def verify(options: Options) -> None:
    """Fails unless the workflow SIGNER signed every image."""
    for _, image in _images(options):
        _run("cosign", "verify", "--certificate-identity", options.signer, "--certificate-oidc-issuer", ISSUER, image)


def attest(options: Options) -> None:
    """Tells Binary Authorization that CI built and tested these."""
    for _, image in _images(options):
        _run("gcloud", "--quiet", "container", "binauthz", "attestations", "sign-and-create",
             f"--artifact-url={image}", f"--attestor={options.attestor}", f"--keyversion={options.key}")  # fmt: skip


def copy(options: Options) -> None:
    """Copies each image with its signature to another registry, under a tag; fails if it is not the same there."""
    for name, digest in _digests(options).items():
        target = f"{options.to}/{name}"
        _run("cosign", "copy", f"{options.registry}/{name}@{digest}", f"{target}:{options.tag}")
        _run("docker", "buildx", "imagetools", "inspect", f"{target}@{digest}")


def bump(options: Options) -> None:
    """Puts the digests into an overlay's kustomization."""
    file = _overlay(options)
    text = file.read_text()
    for name, digest in _digests(options).items():
        text, changed = _line(name).subn(rf"\g<1>{_place(name, options, digest)}", text)
        if changed != 1:
            sys.exit(f"{file.relative_to(options.root)} names {name} {changed} times, asked: once")
    file.write_text(text)


def read(options: Options) -> None:
    """Writes into DIGESTS what an overlay runs."""
    file = _overlay(options)
    digests = {}
    for name in IMAGES:
        line = _line(name).search(file.read_text())
        digest = DIGEST.search(line[0]) if line else None
        if digest is None:
            sys.exit(
                f"{file.relative_to(options.root)} names no digest of {name}: nothing that main built runs there yet"
            )
        digests[name] = digest[0]
    options.digests.write_text(json.dumps(digests, indent=1) + "\n")


def _overlay(options: Options) -> Path:
    return Path(options.root, "kustomize", "overlays", options.overlay, "kustomization.yaml")


def _line(name: str) -> re.Pattern[str]:
    """Where an overlay names an image: the components' in the trigger's settings, any other among `images`."""
    if name == "components":
        return re.compile(r"(\bvalue: ).*/components[:@].*")
    return re.compile(rf"(- {{name: lifeboat/{name}, ).*")


def _place(name: str, options: Options, digest: str) -> str:
    if name == "components":
        return f"{options.registry}/components@{digest}"
    return f"newName: {options.registry}/{name}, digest: {digest}}}"


def _digests(options: Options) -> dict[str, str]:
    digests: dict[str, str] = json.loads(options.digests.read_text())
    if sorted(digests) != sorted(IMAGES) or not all(DIGEST.fullmatch(digest) for digest in digests.values()):
        sys.exit(f"{options.digests} does not hold one digest each of {', '.join(IMAGES)}")
    return digests


def _images(options: Options) -> list[tuple[str, str]]:
    return [(name, f"{options.registry}/{name}@{digest}") for name, digest in _digests(options).items()]


def _run(*command: str) -> None:
    print("+", *command, file=sys.stderr, flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    needed: dict[Callable[[Options], None], tuple[str, ...]] = {
        push: ("registry", "revision"),
        pull: ("registry", "tag"),
        sign: ("registry",),
        verify: ("registry", "signer"),
        attest: ("registry", "attestor", "key"),
        copy: ("registry", "to", "tag"),
        bump: ("overlay", "registry"),
        read: ("overlay",),
    }
    for verb, flags in needed.items():
        one = verbs.add_parser(verb.__name__, help=verb.__doc__)
        one.set_defaults(verb=verb)
        one.add_argument("digests", metavar="DIGESTS", type=Path)
        one.add_argument("--root", type=Path, default=ROOT, help="of the checkout (default: this one)")
        for flag in flags:
            one.add_argument(f"--{flag}", required=True)
    options = parser.parse_args()
    try:
        options.verb(options)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.cmd[0]} ended with {error.returncode}")


if __name__ == "__main__":
    main()
