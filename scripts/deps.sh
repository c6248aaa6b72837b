#!/usr/bin/env bash
# Installs the Debian packages of the named groups that are missing: deps.sh [GROUP...]
# Groups: build, demo, test, conformance, lint, fuzz, bench, flash-sale. Nothing missing: no apt, no root, no network.
# Starts no service, restarts none and upgrades nothing that was named and is there.
set -euo pipefail

declare -A packages
packages[build]="g++ make pkg-config libuv1-dev libnghttp2-dev libssl-dev libyaml-cpp-dev libhiredis-dev \
  libcli11-dev nlohmann-json3-dev libfmt-dev libxxhash-dev libsystemd-dev libsqlite3-dev libpq-dev librabbitmq-dev \
  librdkafka-dev zlib1g-dev doctest-dev"
packages[demo]="${packages[build]} redis-server curl wrk"
packages[flash-sale]="${packages[build]} redis-server postgresql rabbitmq-server erlang-base python3"
packages[test]="${packages[flash-sale]} curl wrk procps nodejs chromium"
packages[conformance]="${packages[build]} nodejs redis-server"
# Node.js from elsewhere than Debian brings npm along, and conflicts with Debian's.
command -v npm >/dev/null || packages[conformance]+=" npm" packages[test]+=" npm"
packages[lint]="${packages[build]} clang-16 clang-tidy-16 clang-format universal-ctags"
packages[fuzz]="${packages[build]} clang-16 libclang-rt-16-dev llvm-16"
packages[bench]="${packages[demo]} nginx haproxy varnish nghttp2-client python3 strace"

policy=/usr/sbin/policy-rc.d
policy_is_ours=no
clusters=/etc/postgresql-common/createcluster.d
sudo=()
apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o DPkg::Lock::Timeout=300)

main() {
  local groups=("${@:-build}") names="" wanted missing group
  for group in "${groups[@]}"; do
    [[ -n ${packages[$group]:-} ]] || fail "unknown group '$group' (build demo test conformance lint fuzz bench flash-sale)" 2
    names+=" ${packages[$group]}"
  done
  read -ra wanted <<<"$names"
  mapfile -t missing < <(not_installed "${wanted[@]}")
  if ((${#missing[@]} == 0)) && has_llhttp; then
    echo "deps: nothing missing for ${groups[*]}"
    return
  fi
  become_root "${missing[@]}"
  has_known "${missing[@]}" || update
  has_llhttp || missing+=("$(llhttp_package)")
  echo "deps: installing ${missing[*]}"
  hold_services
  if [[ " ${missing[*]} " == *" postgresql "* ]]; then hold_clusters; fi
  if ! install_packages "${missing[@]}"; then
    update
    install_packages "${missing[@]}" || fail "apt-get could not install ${missing[*]}"
  fi
  keep_off_at_boot "${missing[@]}"
  echo "deps: installed ${#missing[@]} packages for ${groups[*]}"
}

fail() {
  echo "deps: $1" >&2
  exit "${2:-1}"
}

# Prints those of its arguments that dpkg does not have, each once.
not_installed() {
  local -A there=()
  local name status
  while read -r name status; do
    if [[ $status == installed ]]; then there[$name]=1; fi
  done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    if [[ -z ${there[$name]:-} ]]; then
      echo "$name"
      there[$name]=1
    fi
  done
}

# The parser is a library of its own on Debian 13, and C sources in node-llhttp on Debian 12.
has_llhttp() {
  (($(not_installed libllhttp-dev node-llhttp | wc -l) < 2))
}

llhttp_package() {
  if has_known libllhttp-dev; then echo libllhttp-dev; else echo node-llhttp; fi
}

become_root() {
  if (($(id -u) == 0)); then return; fi
  command -v sudo >/dev/null ||
    fail "missing: $*; installing needs root: run 'make deps' as root or install sudo"
  sudo=(sudo)
}

# Does apt know a version of each package, from the lists it has?
has_known() {
  local name
  for name in "$@"; do
    apt-cache policy "$name" 2>/dev/null | grep -E '^  Candidate: [^(]' >/dev/null || return 1
  done
}

update() {
  "${sudo[@]}" "${apt[@]}" update || fail "apt-get update failed"
}

install_packages() {
  "${sudo[@]}" "${apt[@]}" -y -o Dpkg::Use-Pty=0 \
    --no-install-recommends --no-upgrade install "$@" >/dev/null
}

# 101 is "not allowed": maintainer scripts then start and restart nothing. One that is there already
# stays as it is.
hold_services() {
  trap release_services EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [[ -e $policy || -L $policy ]]; then return; fi
  policy_is_ours=yes
  # shellcheck disable=SC2016  # expands in the inner shell
  "${sudo[@]}" sh -c 'umask 022; printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 755 "$1"' sh "$policy"
}

# A new PostgreSQL makes an empty cluster of its own, which nobody here has asked for.
hold_clusters() {
  # shellcheck disable=SC2016  # expands in the inner shell
  "${sudo[@]}" sh -c 'umask 022; mkdir -p "$1" && echo "create_main_cluster = false" >"$1/sluice-deps.conf"' sh "$clusters"
}

release_services() {
  if [[ -e $clusters/sluice-deps.conf ]]; then
    "${sudo[@]}" rm -f "$clusters/sluice-deps.conf"
    "${sudo[@]}" rmdir --ignore-fail-on-non-empty "$clusters"
  fi
  if [[ $policy_is_ours == yes ]]; then "${sudo[@]}" rm -f "$policy"; fi
}

# We run Redis, PostgreSQL, RabbitMQ and the bench peers ourselves; a server that only we brought shall not come up at the next boot.
keep_off_at_boot() {
  local name
  command -v systemctl >/dev/null || return 0
  for name in "$@"; do
    case $name in
      redis-server | postgresql | rabbitmq-server | nginx | haproxy | varnish)
        "${sudo[@]}" systemctl disable --quiet "$name" >/dev/null 2>&1 || true
        ;;
      erlang-base)
        "${sudo[@]}" systemctl disable --quiet epmd.service epmd.socket >/dev/null 2>&1 || true
        ;;
    esac
  done
}

main "$@"
