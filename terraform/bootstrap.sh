#!/usr/bin/env bash
# Once for each environment, before the first `terraform init`, by somebody who may administer the project; safe to run again:
#
#   terraform/bootstrap.sh PROJECT REGION             make the state's bucket and what Terraform finds already there
#   terraform/bootstrap.sh PROJECT REGION --dry-run   print the commands; needs no tool and no account
set -euo pipefail

if [[ $# -lt 2 || $# -gt 3 || ($# -eq 3 && $3 != --dry-run) ]]; then
  echo "usage: bootstrap.sh PROJECT REGION [--dry-run]" >&2
  exit 2
fi
readonly project=$1 region=$2 bucket="gs://$1-tfstate"
dry_run=false
[[ $# -eq 2 ]] || dry_run=true
readonly dry_run
# shellcheck source=dry_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/dry_run.sh"

$dry_run || needs gcloud

# The APIs that Terraform needs to turn on the others, and those whose service agents are made below.
run gcloud services enable --project "$project" \
  artifactregistry.googleapis.com cloudkms.googleapis.com cloudresourcemanager.googleapis.com compute.googleapis.com \
  container.googleapis.com gkebackup.googleapis.com iam.googleapis.com secretmanager.googleapis.com \
  serviceusage.googleapis.com sqladmin.googleapis.com storage.googleapis.com

# Google makes these accounts when a service is first used, which is too late for the grant on the service's key.
for service in artifactregistry container gkebackup secretmanager sqladmin; do
  run gcloud beta services identity create --project "$project" --service "${service}.googleapis.com"
done
run gcloud storage service-agent --project "$project"

# The state: old versions kept, nobody outside, locked by Terraform itself while it is written.
if $dry_run || ! gcloud storage buckets describe "$bucket" >/dev/null 2>&1; then
  run gcloud storage buckets create "$bucket" --project "$project" --location "$region" \
    --uniform-bucket-level-access --public-access-prevention
fi
run gcloud storage buckets update "$bucket" --versioning --soft-delete-duration=30d
