#!/usr/bin/env bash
# Takes an environment down, all of it, in the order that works:
#
#   terraform/teardown.sh staging             asks before it destroys
#   terraform/teardown.sh staging --dry-run   print the commands; needs no tool and no account
#
# Production refuses: deletion_protection is true there, and Google refuses as well.
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 || ($# -eq 2 && $2 != --dry-run) ]]; then
  echo "usage: teardown.sh ENVIRONMENT [--dry-run]" >&2
  exit 2
fi
readonly environment=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here variables="$here/environments/$environment.tfvars"
dry_run=false
[[ $# -eq 1 ]] || dry_run=true
readonly dry_run
# shellcheck source=dry_run.sh
source "$here/dry_run.sh"

if [[ ! -f $variables ]]; then
  echo "no environment ${environment}: ${variables} does not exist" >&2
  exit 2
fi
if ! grep -Eq '^deletion_protection *= *false$' "$variables"; then
  echo "${environment} is protected: deletion_protection is not false in environments/${environment}.tfvars" >&2
  exit 1
fi

if ! $dry_run; then
  needs gcloud kubectl terraform
  cluster=$(terraform -chdir="$here" output -raw cluster_name)
  if [[ $cluster != "lifeboat-${environment}" ]]; then
    echo "terraform is initialised for the cluster ${cluster}, not for ${environment}" >&2
    exit 1
  fi
  plan=$(terraform -chdir="$here" output -raw backup_plan)
  credentials=$(terraform -chdir="$here" output -raw credentials_command)
  read -rp "Destroy ${environment}, its data and its models? Type its name: " answer
  [[ $answer == "$environment" ]] || { echo "nothing was destroyed" >&2; exit 1; }
  read -ra credentials <<<"$credentials"
  "${credentials[@]}"
  [[ $(kubectl config current-context) == *"${cluster}" ]] || { echo "kubectl does not point at ${cluster}" >&2; exit 1; }
fi

# Load balancers and disks are Kubernetes's, not Terraform's: left behind they hold the network and cost money.
run kubectl delete service --all-namespaces --field-selector spec.type=LoadBalancer --wait
for namespace in kubeflow lifeboat mlflow monitoring; do
  run kubectl delete namespace "$namespace" --ignore-not-found --wait
done

# A backup plan with backups cannot be deleted.
if $dry_run; then
  echo "+ gcloud container backup-restore backups delete <each backup of the plan> --quiet"
else
  location=$(cut -d/ -f4 <<<"$plan")
  project=$(cut -d/ -f2 <<<"$plan")
  name=${plan##*/}
  gcloud container backup-restore backups list --project "$project" --location "$location" --backup-plan "$name" \
    --format='value(name.basename())' |
    while read -r backup; do
      gcloud container backup-restore backups delete "$backup" --project "$project" --location "$location" \
        --backup-plan "$name" --quiet </dev/null
    done
fi

run terraform -chdir="$here" destroy -var-file="environments/${environment}.tfvars"
echo "Raise generation in environments/${environment}.tfvars before the next apply."
