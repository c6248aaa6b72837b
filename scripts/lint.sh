#!/usr/bin/env bash
# Everything that `make lint` checks; goes on after a failure and names the failed ones at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=()
for check in format lint_layers lint_sizes lint_words tidy; do
  start=$SECONDS
  if "scripts/$check.sh"; then
    echo "lint: $check ok ($((SECONDS - start)) s)"
  else
    failed+=("$check")
  fi
done
if ((${#failed[@]} > 0)); then
  echo "lint: failed: ${failed[*]}" >&2
  exit 1
fi
echo "lint: all ok"
