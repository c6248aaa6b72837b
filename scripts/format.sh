#!/usr/bin/env bash
# Checks that all sources have the one format; with --fix gives it to them: format.sh [--fix] [FILE...]
# Other versions of clang-format format differently, so it is 14 (Debian 12) for everybody.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $tool ]] || ! "$tool" --version | grep -q 'version 14\.'; then
  echo "format: needs clang-format 14 (make deps on Debian 12)" >&2
  exit 1
fi

fix=no
if [[ ${1:-} == --fix ]]; then
  fix=yes
  shift
fi
files=("$@")
if ((${#files[@]} == 0)); then
  mapfile -t folders < <(for d in include src tests bench; do [[ ! -d $d ]] || echo "$d"; done)
  mapfile -t files < <(find "${folders[@]}" -name '*.cc' -o -name '*.h' | sort)
fi
((${#files[@]} > 0)) || exit 0

if [[ $fix == yes ]]; then
  "$tool" -i "${files[@]}"
elif ! places=$("$tool" --dry-run -Werror "${files[@]}" 2>&1); then
  grep -E '^[^ ]+:[0-9]+:[0-9]+: ' <<<"$places" | cut -d: -f1 | uniq -c |
    awk '{ print $2 ": " $1 " places to format" }' >&2
  echo "format: 'make format' mends this" >&2
  exit 1
fi
