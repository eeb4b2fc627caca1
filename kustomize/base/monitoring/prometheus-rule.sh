#!/bin/sh
# Writes prometheus-rule.yaml: rules.yaml, two spaces deeper, below `spec`. Kustomize cannot put a file into a field.
cd "$(dirname "$0")" || exit
{
  cat <<'YAML'
# Written by prometheus-rule.sh from rules.yaml, which is the file to edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: lifeboat
spec:
YAML
  sed 's/^\(..*\)$/  \1/' rules.yaml
} >prometheus-rule.yaml
