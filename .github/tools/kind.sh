#!/usr/bin/env bash
# What a cluster of kind's needs beside the commands of docs/kubernetes.md:
#
#   kind.sh                Istio, of the version in terraform/platform.sh, and the gateway that Seldon's routes name
#   kind.sh --describe     what is there, when something failed
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root

if [[ ${1:-} == --describe ]]; then
  kubectl get nodes,pods,seldondeployments --all-namespaces --output wide || true
  kubectl get events --all-namespaces --sort-by=.lastTimestamp | tail -n 100
  exit 0
fi

versions=$(grep -E '^readonly ISTIO_(VERSION|CHARTS)=' "$root/terraform/platform.sh")
eval "$versions"

# release, chart, more arguments
chart() {
  helm upgrade "$1" "$2" --install --version "$ISTIO_VERSION" --repo "$ISTIO_CHARTS" --namespace istio-system \
    --create-namespace --atomic --timeout 10m "${@:3}"
}

chart istio-base base --set defaultRevision=default
# Beside all the rest on four cores; by default they ask for more than half a core and 2 GB.
chart istiod istiod --set pilot.resources.requests.cpu=100m --set pilot.resources.requests.memory=256Mi
chart istio-ingressgateway gateway --set service.type=ClusterIP --set resources.requests.cpu=50m
kubectl apply --server-side -f "$root/terraform/platform/gateway.yaml"
