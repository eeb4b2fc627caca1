#!/usr/bin/env bash
# The change to an overlay as a pull request: offer.sh ENVIRONMENT WHAT. Needs GH_TOKEN. One that waits is replaced.
#
# GitHub starts no workflow for what a workflow's own token pushes: close and open the pull request to run its checks.
set -euo pipefail
readonly environment=$1 what=$2 branch=release/$1

if git diff --quiet -- kustomize/overlays; then
  echo "${environment} has these images already"
  exit 0
fi
git switch --quiet --force-create "$branch"
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message "${environment}: the images of ${what}" -- kustomize/overlays
gh auth setup-git
git push --quiet --force origin "$branch"
if [[ -z $(gh pr list --head "$branch" --base main --state open --json number --jq '.[].number') ]]; then
  gh pr create --head "$branch" --base main --title "${environment}: the images of ${what}" \
    --body "By digest, built, tested on a cluster and signed. To run the checks here, close and open this."
fi
