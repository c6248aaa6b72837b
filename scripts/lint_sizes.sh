#!/usr/bin/env bash
# Finds functions over 60 lines and files over 700 lines in include/ and src/. A line
# "// size: reason" directly above the function, or as the first line of the file, exempts it.
set -euo pipefail
cd "$(dirname "$0")/.."

max_function=60
max_file=700
bad=0

complain() {
  echo "$1" >&2
  bad=1
}

mapfile -t files < <(find include src \( -name '*.cc' -o -name '*.h' \) | sort)
((${#files[@]} > 0)) || exit 0

while read -r lines file; do
  if ((lines > max_file)) && ! head -1 "$file" | grep -q '^// size: .'; then
    complain "$file: $lines lines (limit $max_file)"
  fi
done < <(wc -l "${files[@]}" | grep -v ' total$')

# The reason may stand one line higher where a template line or a return type precedes the name.
while read -r file first last name; do
  [[ $last =~ ^[0-9]+$ ]] || continue
  lines=$((last - first + 1))
  if ((lines > max_function)) &&
    ! sed -n "$((first > 2 ? first - 2 : 1)),${first}p" "$file" | grep -q '^ *// size: .'; then
    complain "$file:$first: $name has $lines lines (limit $max_function)"
  fi
done < <(ctags -x --_xformat='%{input} %n %{end} %{name}' --language-force=C++ --c++-kinds=f \
  "${files[@]}")
exit "$bad"
