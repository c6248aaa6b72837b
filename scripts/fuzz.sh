#!/usr/bin/env bash
# Runs fuzz targets that are built in FOLDER; tests/fuzz/corpus/<name> is only read.
#   fuzz.sh run FOLDER NAME          for FUZZ_SECONDS; new finds and crashes stay in FOLDER
#   fuzz.sh replay FOLDER NAME...    the seed corpus once
#   fuzz.sh coverage FOLDER NAME...  the same; then lines reached in src/, FUZZ_MIN % asked of FUZZ_COVER
set -euo pipefail

verb=$1
folder=$2
shift 2
export UBSAN_OPTIONS=print_stacktrace=1
seeds=tests/fuzz/corpus

run() {
  local name=$1 options=() log=$folder/$1.log
  mkdir -p "$folder/corpus/$name" "$folder/crashes"
  [[ ! -e tests/fuzz/$name.dict ]] || options+=("-dict=tests/fuzz/$name.dict")
  local folders=("$folder/corpus/$name")
  [[ ! -d $seeds/$name ]] || folders+=("$seeds/$name")
  if ! "$folder/$name" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="$folder/crashes/$name-" -print_final_stats=1 \
    "${options[@]+"${options[@]}"}" "${folders[@]}" >"$log" 2>&1; then
    tail -60 "$log" >&2
    echo "fuzz: $name: crashed; the input is in $folder/crashes" >&2
    exit 1
  fi
  awk -v name="$name" '
    /^#[0-9]+.* cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
    /number_of_executed_units/ { runs = $2 }
    END { printf "fuzz: %s: %d runs, %d edges, no crash\n", name, runs, cov }' "$log"
}

replay() {
  local name inputs bad=0
  for name in "$@"; do
    inputs=0
    [[ ! -d $seeds/$name ]] || inputs=$(find "$seeds/$name" -type f | wc -l)
    if ((inputs == 0)); then
      echo "fuzz: $name: no seeds in $seeds/$name" >&2
      bad=1
    elif ! "$folder/$name" -runs=0 "$seeds/$name" >"$folder/$name.log" 2>&1; then
      tail -60 "$folder/$name.log" >&2
      echo "fuzz: $name: a seed crashes it" >&2
      bad=1
    else
      echo "fuzz: $name: $inputs seeds replayed"
    fi
  done
  return "$bad"
}

coverage() {
  (($# > 0)) || {
    echo "coverage: no fuzz targets"
    return
  }
  local profile=$folder/merged.profdata objects=("$folder/$1") name file
  rm -rf "$folder/raw"
  mkdir -p "$folder/raw"
  LLVM_PROFILE_FILE="$folder/raw/%p.profraw" replay "$@"
  llvm-profdata-16 merge -sparse -o "$profile" "$folder"/raw/*.profraw
  for name in "${@:2}"; do objects+=(-object "$folder/$name"); done

  local reached bad=0
  reached=$(llvm-cov-16 export -format=lcov -summary-only -instr-profile "$profile" "${objects[@]}" |
    lines_reached)
  while read -r file percent; do
    verdict "$file" "$percent" || bad=1
  done <<<"$reached"
  for file in ${FUZZ_COVER:-}; do
    if ! grep -qF "$file " <<<"$reached"; then
      echo "coverage: $file is in no fuzz target" >&2
      bad=1
    fi
  done
  return "$bad"
}

# Prints "file percent" for each of our files with lines that could run.
lines_reached() {
  awk -F: -v root="$PWD/" '
    $1 == "SF" { file = index($2, root) == 1 ? substr($2, length(root) + 1) : $2 }
    $1 == "LF" { lines = $2 }
    $1 == "LH" { hit = $2 }
    /^end_of_record/ && file ~ /^(src|include)\// && lines > 0 {
      printf "%s %.1f\n", file, 100 * hit / lines
    }' | sort
}

verdict() {
  local least=${FUZZ_MIN:-90}
  if [[ " ${FUZZ_COVER:-} " != *" $1 "* ]]; then
    echo "coverage: $1 $2 %"
  elif awk "BEGIN { exit !($2 < $least) }"; then
    echo "coverage: $1 $2 % (under $least)" >&2
    return 1
  else
    echo "coverage: $1 $2 % (at least $least)"
  fi
}

case $verb in
  run | replay | coverage) "$verb" "$@" ;;
  *)
    echo "fuzz.sh: run, replay or coverage" >&2
    exit 2
    ;;
esac
