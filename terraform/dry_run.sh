# shellcheck shell=bash
# What the scripts here have in common; sourced by them.
: "${dry_run:?true or false, said before this file is sourced}"

# Runs a command; a dry run prints it.
run() {
  if $dry_run; then
    printf '+'
    printf ' %q' "$@"
    printf '\n'
  else
    "$@"
  fi
}

# Ends the script where a tool is missing; a dry run only says so.
needs() {
  local tool missing=()
  for tool in "$@"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if $dry_run; then
    echo "missing here, needed for real: ${missing[*]}" >&2
  else
    echo "${0##*/} needs ${missing[*]}, not found on PATH" >&2
    exit 1
  fi
}
