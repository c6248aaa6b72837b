#!/usr/bin/env bash
# Runs doctest programs one after the other: run_tests.sh PROGRAM... [-- ARGUMENT...]
# Stops at the first that fails; the last line is "N passed, N failed", summed over their cases.
set -euo pipefail

programs=()
while (($# > 0)) && [[ $1 != -- ]]; do
  programs+=("$1")
  shift
done
(($# == 0)) || shift

limit=${TEST_TIMEOUT:-900}
launcher=(timeout --signal=ABRT --kill-after=10 "$limit")
# ThreadSanitizer of g++ 12 cannot live with the address randomisation of newer kernels.
if [[ ${SAN:-} == *thread* ]] && setarch -R true 2>/dev/null; then
  launcher+=(setarch -R)
fi
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for program in "${programs[@]+"${programs[@]}"}"; do
  echo "== $(basename "$program")"
  status=0
  "${launcher[@]}" "$program" "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
  counts=$(sed -nE 's/^\[doctest\] test cases: +([0-9]+) \| +([0-9]+) passed \| +([0-9]+) failed.*/\2 \3/p' "$log" | tail -1)
  read -r ok bad <<<"${counts:-0 0}"
  ((status == 0 || bad > 0)) || bad=1
  ((status != 124)) || echo "$(basename "$program"): aborted after $limit s"
  ((status < 2 || status == 124)) || echo "$(basename "$program"): ended with status $status"
  passed=$((passed + ok))
  failed=$((failed + bad))
  ((status == 0 && bad == 0)) || break
done

echo "$passed passed, $failed failed"
((failed == 0))
