#!/usr/bin/env bash
# clang-tidy over src/, two and more at a time. What was clean is remembered under the hash of the
# file, all that it includes of ours, and the settings, so that only changes are checked again.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=${CLANG_TIDY:-clang-tidy-16}
cache=${BUILD:-build}/tidy
command -v "$tool" >/dev/null || {
  echo "tidy: no $tool (make deps)" >&2
  exit 1
}

main() {
  mkdir -p "$cache/clean"
  local flags=${TIDY_FLAGS:--std=c++20 -Iinclude}
  # One flag a line; paths seen from the folder of this file.
  xargs -n1 <<<"$flags" | sed -E "s#^-Iinclude\$#-I$PWD/include#" >"$cache/compile_flags.txt"
  local settings
  settings=$("$tool" --version | cat - .clang-tidy "$cache/compile_flags.txt" | sha256sum)

  local total=0 changed=() file hash parts
  while read -r file parts; do
    total=$((total + 1))
    # shellcheck disable=SC2086  # a list of names of ours
    hash=$( (echo "$settings" "$file" && cat "$file" $parts) | sha256sum | cut -c1-40)
    [[ -e $cache/clean/$hash ]] || changed+=("$file" "$hash")
  done < <(with_includes)

  echo "tidy: $((${#changed[@]} / 2)) of $total files to check"
  ((${#changed[@]} > 0)) || return 0
  export tool cache
  # shellcheck disable=SC2016  # expands in the inner shell
  printf '%s\n' "${changed[@]}" | xargs -P "$(nproc)" -n 2 bash -c '
    out=$("$tool" --quiet -p "$cache" "$1" 2>&1) && touch "$cache/clean/$2" ||
      { printf "%s\n" "$out" | grep -vE "^[0-9]+ warnings? (generated|treated)" >&2; exit 1; }
  ' tidy
}

# Prints each .cc in src/ with all files of ours that it includes, directly or not.
with_includes() {
  # shellcheck disable=SC2016  # awk's own variables
  find src include \( -name '*.cc' -o -name '*.h' -o -name '*.def' \) | sort | xargs -r awk '
    FNR == 1 { all[++files] = FILENAME }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      split($0, quoted, "\"")
      folder = FILENAME
      sub(/[^\/]*$/, "", folder)
      uses[FILENAME] = uses[FILENAME] " include/" quoted[2] " " folder quoted[2]
    }
    END {
      for (i = 1; i <= files; i++) there[all[i]] = 1
      for (i = 1; i <= files; i++) {
        if (all[i] !~ /\.cc$/) continue
        split("", seen)
        count = 1
        queue[1] = all[i]
        seen[all[i]] = 1
        line = all[i]
        for (head = 1; head <= count; head++) {
          n = split(uses[queue[head]], names, " ")
          for (k = 1; k <= n; k++) {
            if (!(names[k] in there) || names[k] in seen) continue
            seen[names[k]] = 1
            queue[++count] = names[k]
            line = line " " names[k]
          }
        }
        print line
      }
    }'
}

main
