#!/usr/bin/env bash
# Installs what is built in BUILD below DESTDIR. Configuration that is there already is kept; nothing
# is started, and no user is made.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
root=${DESTDIR:-}
prefix=${PREFIX:-/usr/local}
etc=${SYSCONFDIR:-/etc}
lib=$prefix/lib

for program in sluice sluice-orders; do
  if [[ -e $build/$program ]]; then
    install -D -m 755 "$build/$program" "$root$prefix/bin/$program"
  fi
done

for file in conf/*.yaml; do
  [[ -e $file ]] || continue
  target=$root$etc/sluice/$(basename "$file")
  # The reference is documentation: it follows the programs.
  if [[ -e $target && $file != *.reference.yaml ]]; then
    cmp -s "$file" "$target" || echo "install: kept $target"
  else
    install -D -m 644 "$file" "$target"
  fi
done

unit=$root$lib/systemd/system/sluice.service
install -d "$(dirname "$unit")"
sed -e "s#/usr/local/bin/#$prefix/bin/#; s#/etc/sluice/#$etc/sluice/#" systemd/sluice.service >"$unit"
chmod 644 "$unit"
install -D -m 644 systemd/sluice.sysusers "$root$lib/sysusers.d/sluice.conf"

echo "install: done; to run it: systemd-sysusers && systemctl daemon-reload && systemctl enable --now sluice"
