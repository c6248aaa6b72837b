#!/usr/bin/env bash
# Finds unfinished work that no issue stands for, and tests that sleep instead of waiting for something.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0
mapfile -t places < <(for d in include src tests bench scripts conf systemd Makefile; do
  [[ ! -e $d ]] || echo "$d"
done)

if grep -rnIE '\b(TODO|FIXME)\b' --exclude-dir=corpus --exclude=lint_words.sh --exclude='*.md' "${places[@]}" |
  grep -vE '(TODO|FIXME)[ (:]*#?[0-9]+' >&2; then
  echo "words: name the issue, as in TODO(#12)" >&2
  bad=1
fi

if [[ -d tests ]] && grep -rnIE '\b(u|nano)?sleep(_for|_until)?[ ]*\(' --exclude-dir=corpus tests >&2; then
  echo "words: wait for a counter or an event until a deadline; tests do not sleep" >&2
  bad=1
fi
exit "$bad"
