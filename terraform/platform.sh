#!/usr/bin/env bash
# Everything between `terraform apply` and a platform that answers, safe to run again:
#
#   terraform/platform.sh staging             install or upgrade
#   terraform/platform.sh staging --dry-run   print the commands; needs no tool, no account and no cluster
#
# Istio, Seldon Core's operator, kube-prometheus-stack and prometheus-adapter, Kubeflow Pipelines, the database's grants, the
# keys to the buckets, every Secret that docs/kubernetes.md lists for GKE, and Lifeboat's own overlay. Versions are pinned here
# and in platform/.
set -euo pipefail

readonly ISTIO_VERSION=1.30.5
readonly ISTIO_CHARTS=https://blob.istio.io/istio-release/charts
readonly SELDON_VERSION=1.17.1 # the last one under Apache-2.0
readonly SELDON_CHARTS=https://storage.googleapis.com/seldon-charts
readonly PROMETHEUS_VERSION=87.17.0
readonly ADAPTER_VERSION=5.3.0
readonly PROMETHEUS_CHARTS=https://prometheus-community.github.io/helm-charts
readonly KFP_VERSION=2.17.0 # platform/kfp/kustomization.yaml says the same

# Those that identity.tf gives a key to the buckets.
readonly S3_WORKLOADS=(deploy drift-detector model-server pipeline)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

usage() {
  echo "usage: platform.sh staging|production [--dry-run]" >&2
  exit 2
}

[[ $# -ge 1 && $# -le 2 ]] || usage
readonly environment=$1
[[ $environment == staging || $environment == production ]] || usage
dry_run=false
if [[ $# -eq 2 ]]; then
  [[ $2 == --dry-run ]] || usage
  dry_run=true
fi
readonly dry_run
# shellcheck source=dry_run.sh
source "$here/dry_run.sh"

main() {
  needs gcloud helm kubectl python3 terraform
  read_outputs
  step "kubectl's way in" get_credentials
  step "storage class" storage_class
  step "keys to the buckets" bucket_keys
  step "Secrets" secrets
  step "Istio ${ISTIO_VERSION}" istio
  step "kube-prometheus-stack ${PROMETHEUS_VERSION}" prometheus
  step "prometheus-adapter ${ADAPTER_VERSION}" adapter
  step "Seldon Core ${SELDON_VERSION}" seldon
  step "grants in the database" database_grants
  step "Kubeflow Pipelines ${KFP_VERSION}" kubeflow
  step "Lifeboat's overlay" overlay
  echo "The platform is up. Next: docs/path-to-production.md, \"The first prediction\"."
}

# How a step is run.

# Output of Terraform, NAME or NAME.KEY. A dry run shows its name instead.
output() {
  if $dry_run; then
    echo "<$1>"
  elif [[ $1 == *.* ]]; then
    terraform -chdir="$here" output -json "${1%%.*}" | field "${1#*.}"
  else
    terraform -chdir="$here" output -raw "$1"
  fi
}

# A field of the JSON object on standard input, by a path such as kfp.email.
field() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda value, key: value[key], sys.argv[1].split("."), json.load(sys.stdin)))' "$1"
}

read_outputs() {
  # The outputs are those of the environment that `terraform init` was last run for: the wrong one must not be installed into.
  cluster=$(output cluster_name)
  if ! $dry_run && [[ $cluster != "lifeboat-${environment}" ]]; then
    echo "terraform is initialised for the cluster ${cluster}, not for ${environment}; run:" >&2
    echo "  terraform -chdir=terraform init -reconfigure -backend-config=environments/${environment}.gcs.tfbackend" >&2
    exit 1
  fi
  project=$(output project_id)
  readonly cluster project
}

step() {
  echo "== $1"
  "$2"
}

# Standard input, with each CAPITALS=value of the arguments filled in.
fill() {
  local text pair
  text=$(cat)
  for pair in "$@"; do
    [[ -n ${pair#*=} ]] || { echo "terraform has no value for ${pair%%=*}" >&2; return 1; }
    text=${text//"${pair%%=*}"/"${pair#*=}"}
  done
  printf '%s\n' "$text"
}

# The same goes to the cluster.
apply() {
  if $dry_run; then
    echo "+ kubectl apply --server-side --force-conflicts -f - <<EOF"
    fill "$@"
    echo "EOF"
  else
    fill "$@" | kubectl apply --server-side --force-conflicts -f -
  fi
}

# release, chart, version, repository, namespace, more arguments
chart() {
  local release=$1 name=$2 version=$3 repository=$4 namespace=$5
  shift 5
  run helm upgrade "$release" "$name" --install --version "$version" --repo "$repository" \
    --namespace "$namespace" --create-namespace --atomic --timeout 10m "$@"
}

# Only made: the labels of one that is there are its owner's.
namespace() {
  if $dry_run; then
    echo "+ kubectl create namespace $1   # unless it is there"
  elif ! kubectl get namespace "$1" >/dev/null 2>&1; then
    kubectl create namespace "$1"
  fi
}

# namespace, name; KEY=value lines on standard input. A value is never an argument, which every process list shows, nor in a
# file.
secret() {
  namespace "$1"
  if $dry_run; then
    cat >/dev/null
    echo "+ kubectl --namespace $1 create secret generic $2 --from-env-file=/dev/stdin --dry-run=client | kubectl apply"
  else
    kubectl --namespace "$1" create secret generic "$2" --from-env-file=/dev/stdin --dry-run=client --output yaml |
      kubectl apply --server-side --force-conflicts -f -
  fi
}

# The steps.

get_credentials() {
  local command
  if $dry_run; then
    echo "+ $(output credentials_command)"
    return
  fi
  read -ra command <<<"$(output credentials_command)"
  "${command[@]}"
  # A context left over from another cluster must not be the one that is changed.
  if [[ $(kubectl config current-context) != *"${cluster}" ]]; then
    echo "kubectl does not point at ${cluster}" >&2
    exit 1
  fi
}

storage_class() {
  apply "DISK_KEY=$(output disk_key)" <"$here/platform/storage-class.yaml"
}

istio() {
  chart istio-base base "$ISTIO_VERSION" "$ISTIO_CHARTS" istio-system --set defaultRevision=default
  # Google's network plug-in reads its settings elsewhere than Istio looks by default; with Istio's own plug-in no pod
  # needs the right to change its network.
  chart istio-cni cni "$ISTIO_VERSION" "$ISTIO_CHARTS" kube-system \
    --set global.platform=gke --set cni.cniBinDir=/home/kubernetes/bin
  chart istiod istiod "$ISTIO_VERSION" "$ISTIO_CHARTS" istio-system \
    --set pilot.cni.enabled=true --set global.platform=gke \
    --set pilot.autoscaleMin=2 --set meshConfig.accessLogFile=/dev/stdout
  # Inside the network only: how the world reaches it is the overlay's to say.
  chart istio-ingressgateway gateway "$ISTIO_VERSION" "$ISTIO_CHARTS" istio-system \
    --set autoscaling.minReplicas=2 \
    --set-string 'service.annotations.networking\.gke\.io/load-balancer-type=Internal'
}

prometheus() {
  local repository
  repository=$(output github_repository)
  # An alert's link to its runbook begins with the label.
  chart monitoring kube-prometheus-stack "$PROMETHEUS_VERSION" "$PROMETHEUS_CHARTS" monitoring \
    --values "$here/platform/prometheus.yaml" \
    --set-string "prometheus.prometheusSpec.externalLabels.runbooks=https://github.com/${repository}/blob/main/docs/runbooks"
}

# For the component `autoscaling`. Custom metrics have one source in a cluster: another adapter would have to give ours, too.
adapter() {
  chart prometheus-adapter prometheus-adapter "$ADAPTER_VERSION" "$PROMETHEUS_CHARTS" monitoring \
    --values "$here/platform/prometheus-adapter.yaml"
}

seldon() {
  chart seldon-core seldon-core-operator "$SELDON_VERSION" "$SELDON_CHARTS" seldon-system \
    --set istio.enabled=true --set istio.gateway=istio-system/seldon-gateway \
    --set usageMetrics.enabled=false --set certManager.enabled=false
  apply <"$here/platform/gateway.yaml"
}

# One key for each workload that speaks S3. A secret that has a version is left as it is. To change a key: disable the
# secret's versions, run this again, restart the workload, then delete the old key.
bucket_keys() {
  local workload secret
  for workload in "${S3_WORKLOADS[@]}"; do
    secret=$(output "s3_secrets.${workload}")
    if $dry_run; then
      echo "+ gcloud storage hmac create <${workload}'s account> | gcloud secrets versions add ${secret} --data-file=-   # unless it has one"
      continue
    fi
    if [[ -n $(gcloud secrets versions list "$secret" --project "$project" --filter=state=ENABLED --format='value(name)') ]]; then
      echo "${secret} has a key"
      continue
    fi
    # From one command to the other: the key is in no file and on no screen.
    gcloud storage hmac create "$(output "workload_service_accounts.${workload}.email")" --project "$project" --format=json |
      gcloud secrets versions add "$secret" --project "$project" --data-file=-
  done
}

# The Secrets that docs/kubernetes.md lists, in the shape that the pods read.
secrets() {
  local workload lines user
  for workload in "${S3_WORKLOADS[@]}"; do
    lines=$(bucket_key "$workload") # whole, or the script ends here
    printf '%s\n' "$lines" | secret "$(output "workload_service_accounts.${workload}.namespace")" "s3-${workload}"
  done
  # Without a password: Cloud SQL's proxy, beside MLflow, says who asks.
  user=$(output database_users.mlflow)
  echo "uri=postgresql+psycopg2://${user/@/%40}@127.0.0.1:5432/mlflow" |
    secret "$(output workload_service_accounts.mlflow.namespace)" mlflow-database
  made_once lifeboat-trigger token= "$(output workload_service_accounts.retrain-trigger.namespace)" monitoring
  made_once personal-key key= "$(output workload_service_accounts.drift-detector.namespace)" kubeflow
  made_once mysql-secret $'username=root\npassword=' "$(output workload_service_accounts.kfp.namespace)"
}

# What Cloud Storage answered when the key was made, as the lines of a Secret.
bucket_key() {
  ! $dry_run || return 0
  gcloud secrets versions access latest --secret "$(output "s3_secrets.$1")" --project "$project" |
    python3 -c 'import json, sys
key = json.load(sys.stdin)
print("access-key=" + key["metadata"]["accessId"], "secret-key=" + key["secret"], sep="\n")'
}

# name, what stands before the value, namespaces. A Secret with one random value, the same in each namespace: where one of
# them has none it gets the others'. To change it: delete all of them and run this again (Kubeflow's MySQL keeps the
# password that its disk was made with: ALTER USER first; pseudonyms that the old personal key made stay nobody's).
made_once() {
  local name=$1 before=$2 where value="" field all=true
  shift 2
  field=${before##*$'\n'}
  for where in "$@"; do
    if ! $dry_run && kubectl --namespace "$where" get secret "$name" >/dev/null 2>&1; then
      value=$(kubectl --namespace "$where" get secret "$name" -o "jsonpath={.data.${field%=}}" | base64 --decode)
    else
      all=false
    fi
  done
  ! $all || return 0
  $dry_run || value=${value:-$(python3 -c 'import secrets; print(secrets.token_hex(32))')}
  for where in "$@"; do
    echo "${before}${value}" | secret "$where" "$name"
  done
}

database_grants() {
  local in_namespace
  in_namespace=$(output workload_service_accounts.database-admin.namespace)
  namespace "$in_namespace"
  if $dry_run; then
    echo "+ kubectl --namespace ${in_namespace} create configmap database-grants --from-file=platform/database-grants.sql | kubectl apply"
  else
    kubectl --namespace "$in_namespace" create configmap database-grants --dry-run=client --output yaml \
      --from-file="$here/platform/database-grants.sql" | kubectl apply --server-side --force-conflicts -f -
  fi
  # A job cannot be changed, only made again.
  run kubectl --namespace "$in_namespace" delete job database-grants --ignore-not-found
  apply \
    "PLATFORM_NAMESPACE=$in_namespace" \
    "ADMIN_ACCOUNT=$(output workload_service_accounts.database-admin.email)" \
    "ADMIN_DATABASE_USER=$(output database_users.database-admin)" \
    "MLFLOW_DATABASE_USER=$(output database_users.mlflow)" \
    "DATABASE_CONNECTION=$(output database_connection)" \
    <"$here/platform/grants-job.yaml"
  run kubectl --namespace "$in_namespace" wait --for=condition=complete job/database-grants --timeout=10m
}

kubeflow() {
  run kubectl apply --server-side --force-conflicts --kustomize \
    "https://github.com/kubeflow/pipelines//manifests/kustomize/cluster-scoped-resources?ref=${KFP_VERSION}"
  run kubectl wait --for=condition=established --timeout=60s crd/applications.app.k8s.io
  if $dry_run; then
    echo "+ kubectl kustomize terraform/platform/kfp | kubectl apply --server-side --force-conflicts -f -   # with the outputs filled in"
  else
    kubectl kustomize "$here/platform/kfp" | apply \
      "KFP_ACCOUNT=$(output workload_service_accounts.kfp.email)" \
      "PIPELINE_ACCOUNT=$(output workload_service_accounts.pipeline.email)" \
      "PIPELINES_BUCKET=$(output buckets.pipelines)"
  fi
  run kubectl --namespace kubeflow rollout status deployment/ml-pipeline --timeout=10m
}

overlay() {
  if $dry_run; then
    echo "+ kubectl kustomize kustomize/overlays/${environment} | kubectl apply --server-side --force-conflicts -f -   # with the outputs filled in"
  else
    kubectl kustomize "$here/../kustomize/overlays/${environment}" | apply \
      "BUNDLES_BUCKET=$(output buckets.bundles)" \
      "DATABASE_CONNECTION=$(output database_connection)" \
      "GOOGLE_SERVICES_CIDR=$(output google_services_cidr)" \
      "MLFLOW_BUCKET=$(output buckets.mlflow)" \
      "PROJECT_ID=$project" \
      "REGISTRY=$(output registry)"
  fi
}

main
