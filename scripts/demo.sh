#!/usr/bin/env bash
# sluice in front of three sluice-orders on one database, with a worker that moves the orders on and a
# Redis of its own, until Ctrl-C or TERM.
# Environment: SLUICE, SLUICE_ORDERS (programs), SLUICE_ROOT (this repository), PORT (8080),
# ADMIN_PORT (9901). Everything it starts it ends; it leaves no file behind.
set -euo pipefail

root=${SLUICE_ROOT:-$(cd "$(dirname "$0")/.." && pwd)}
sluice=${SLUICE:-$root/build/sluice}
orders=${SLUICE_ORDERS:-$root/build/sluice-orders}
port=${PORT:-8080}
admin_port=${ADMIN_PORT:-9901}
admin=http://127.0.0.1:$admin_port
patience=30 # seconds for anything to become ready, or to end

folder=
declare -A pids=() # what we started: name to pid
nap=               # the sleep that we wait for
shown=0            # lines of the status on the screen

main() {
  check_programs
  check_port "$port" PORT
  check_port "$admin_port" ADMIN_PORT
  [[ $port != "$admin_port" ]] || fail "PORT and ADMIN_PORT are both $port"
  trap 'leave 0' INT TERM HUP
  trap 'leave $?' EXIT
  folder=$(mktemp -d "${TMPDIR:-/tmp}/sluice-demo.XXXXXX")
  start_redis
  start_orders
  start_worker
  start_sluice
  tell_what_to_try
  watch
}

fail() {
  echo "demo: $1" >&2
  exit 1
}

check_programs() {
  local program
  for program in "$sluice" "$orders"; do
    [[ -x $program ]] || fail "$program is not built; run 'make all' (or 'make demo', which does both)"
  done
  for program in curl redis-server setpriv; do
    command -v "$program" >/dev/null || fail "$program is not installed; run 'make demo', which installs it"
  done
}

check_port() {
  [[ $1 =~ ^[0-9]{1,5}$ && $1 -gt 0 && $1 -lt 65536 ]] || fail "$2=$1 is not a port (1 to 65535)"
  if is_taken "$1"; then
    fail "127.0.0.1:$1 is in use; choose another port: make demo $2=$(free_port $(($1 + 1)))"
  fi
}

is_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The first port from $1 on where nobody answers.
free_port() {
  local candidate=$1
  while is_taken "$candidate"; do candidate=$((candidate + 1)); done
  echo "$candidate"
}

# Starting -----------------------------------------------------------------------------------------

# launch NAME COMMAND...: in a session of its own, so that Ctrl-C reaches this script only; it ends
# even when this script is killed.
launch() {
  local name=$1
  shift
  setsid setpriv --pdeathsig TERM "$@" >"$folder/$name.log" 2>&1 </dev/null &
  pids[$name]=$!
  disown # bash need not tell when one is killed
}

# await NAME COMMAND...: until the command succeeds, as long as NAME lives.
await() {
  local name=$1 end=$((SECONDS + patience))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "${pids[$name]}" 2>/dev/null; then give_up "$name ended"; fi
    if ((SECONDS >= end)); then give_up "$name is not ready after $patience s"; fi
    pause 0.05
  done
}

give_up() {
  local log
  for log in "$folder"/*.log; do
    [[ ! -s $log ]] || sed "s#^#  ${log##*/}: #" "$log" | tail -20 >&2
  done
  fail "$1; what it said is above"
}

# Lets a trap run at once, which a sleep in the foreground would delay.
pause() {
  sleep "$1" &
  nap=$!
  wait "$nap" || true
  nap=
}

start_redis() {
  launch redis redis-server --port 0 --unixsocket "$folder/redis.sock" --dir "$folder" --save '' \
    --appendonly no --daemonize no --maxmemory 64mb --maxmemory-policy allkeys-lfu
  await redis redis-cli -s "$folder/redis.sock" ping
  export REDIS_URL=unix:$folder/redis.sock
}

start_orders() {
  local name next=9001
  for name in a b c; do
    next=$(free_port "$next")
    launch "orders-$name" "$orders" serve --listen "127.0.0.1:$next" --db "sqlite:$folder/orders.db" \
      --name "$name" --allow-restock
    await "orders-$name" curl -fsS -m 2 "http://127.0.0.1:$next/healthz"
    export "ORDERS_${name^^}=$next"
    next=$((next + 1))
  done
}

start_worker() {
  launch worker "$orders" work --db "sqlite:$folder/orders.db" --queue embedded --name worker
  await worker grep -q 'worker works' "$folder/worker.log"
}

start_sluice() {
  export PORT=$port ADMIN_PORT=$admin_port ACCESS_LOG=$folder/access.log
  launch sluice "$sluice" serve -c "$root/conf/demo.yaml"
  await sluice curl -fsS -m 2 "$admin/readyz"
}

# Running ------------------------------------------------------------------------------------------

tell_what_to_try() {
  local url=http://127.0.0.1:$port
  cat <<TEXT
sluice serves $url from three sluice-orders (a, b, c); a worker ships the orders. Open it in a browser,
and try, from another terminal:

  curl -i $url/products        # and again: Cache-Status tells a miss, then a hit
  curl -i $url/orders -H 'Content-Type: application/json' -H "Idempotency-Key: \$(cat /proc/sys/kernel/random/uuid)" \\
       -d '{"user_id": "u1", "items": [{"product_id": "p1", "quantity": 1}]}'
  curl $url/orders?user=u1                   # a moment later it is paid and shipped
  wrk -t2 -c64 -d10s $url/products
  kill -9 ${pids[orders-a]}                  # orders-a dies under load: no GET fails
  $sluice drain orders/b --admin $admin      # and undrain
  $sluice top --admin $admin

Admin page: $admin/       access log: $folder/access.log
Worker log: $folder/worker.log
Ctrl-C ends everything.

TEXT
}

watch() {
  show_status
  while kill -0 "${pids[sluice]}" 2>/dev/null; do
    pause 1
    if [[ -t 1 ]]; then show_status; fi
  done
  give_up "sluice ended"
}

show_status() {
  local text
  text=$("$sluice" status --admin "$admin" 2>&1) || return 0
  if [[ -t 1 ]]; then text=$(cut -c "1-$(tput cols 2>/dev/null || echo 80)" <<<"$text"); fi
  if ((shown > 0)); then printf '\033[%dA\033[J' "$shown"; fi
  printf '%s\n' "$text"
  shown=$(wc -l <<<"$text")
}

# The end ------------------------------------------------------------------------------------------

# Clients first: sluice drains while its endpoints still answer.
leave() {
  local code=$1 name
  trap '' INT TERM HUP
  trap - EXIT
  [[ -z $nap ]] || kill "$nap" 2>/dev/null || true
  for name in sluice worker orders-a orders-b orders-c redis; do stop "$name"; done
  [[ -z $folder ]] || rm -rf "$folder"
  exit "$code"
}

stop() {
  local pid=${pids[$1]:-} end=$((SECONDS + patience))
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    if ((SECONDS >= end)); then kill -KILL "$pid" 2>/dev/null || true; fi
    sleep 0.05
  done
}

main "$@"
