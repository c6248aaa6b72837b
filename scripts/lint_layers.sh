#!/usr/bin/env bash
# Checks every #include in include/ and src/ against scripts/layers.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(find include src \( -name '*.cc' -o -name '*.h' -o -name '*.def' \) | sort)
((${#files[@]} > 0)) || exit 0

# shellcheck disable=SC2016  # awk's own variables
awk '
  function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad = 1 }

  # The table: "module: allowed ..." and "<library>: modules ...".
  FILENAME == "scripts/layers.txt" {
    sub(/#.*/, "")
    if (!match($0, /^[^:]+:/)) next
    key = substr($0, 1, RLENGTH - 1)
    n = split(substr($0, RLENGTH + 1), names, " ")
    if (key ~ /^</) {
      key = substr(key, 2, length(key) - 2)
      libraries[key] = 1
    } else {
      modules[key] = 1
      edge[key, key] = 1
    }
    for (i = 1; i <= n; i++) edge[key, names[i]] = 1
    next
  }

  FNR == 1 {
    n = split(FILENAME, part, "/")
    here = part[1] == "include" ? part[3] : part[2]
    if (!(here in modules)) complain("module " here " is not in scripts/layers.txt")
  }

  /^[ \t]*#[ \t]*include[ \t]*["<]/ {
    target = $0
    sub(/^[^"<]*["<]/, "", target)
    sub(/[">].*/, "", target)
    if (target ~ /(^|\/)\.\.\//) complain("include by \"sluice/<module>/...\", not by ..")
    if (target ~ /^sluice\//) {
      split(target, part, "/")
      if (!((here, part[2]) in edge)) complain(here " may not include " part[2] " (" target ")")
    }
    folder = target
    sub(/\/.*/, "/", folder)
    for (i = 1; i <= 2; i++) {
      library = i == 1 ? target : folder
      if (library in libraries && !((library, here) in edge))
        complain(here " may not use <" target ">")
      if (target == folder) break
    }
  }

  END { exit bad }
' scripts/layers.txt "${files[@]}" >&2
