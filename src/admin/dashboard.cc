#include "sluice/admin/api.h"

namespace sluice::admin {

namespace {

// Read-only; everything is put in as text, so that no name can be markup.
constexpr std::string_view kPage = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sluice</title>
<style>
:root { color-scheme: light dark; --line: #8884; --dim: #888; --good: #2a8a3e; --bad: #c9302c; --warn: #b7791f }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.3rem; margin: 0 }
h2 { font-size: 1rem; margin: 1.6rem 0 .4rem }
header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap }
#sub, .dim { color: var(--dim) }
#tiles { display: flex; gap: .8rem; flex-wrap: wrap; margin-top: 1rem }
.tile { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; min-width: 7rem }
.tile b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; color: var(--dim) }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td.n, th.n { text-align: right }
.good { color: var(--good) } .bad { color: var(--bad) } .warn { color: var(--warn) }
#trouble { margin-top: 1rem; font-weight: 600 }
</style>
</head>
<body>
<header><h1>sluice</h1><span id="sub">loading&hellip;</span></header>
<div id="trouble" class="bad" role="status"></div>
<div id="tiles"></div>
<h2>Listeners</h2><div class="scroll"><table id="listeners"></table></div>
<h2>Endpoints</h2><div class="scroll"><table id="endpoints"></table></div>
<h2>Errors since the start</h2><div class="scroll"><table id="errors"></table></div>
<noscript>This page needs JavaScript; <a href="/api/v1/status?pretty">the same as JSON</a>.</noscript>
<script>
"use strict";
const $ = id => document.getElementById(id);
const cell = (text, kind) => {
  const td = document.createElement("td");
  td.textContent = text;
  if (kind) td.className = kind;
  return td;
};
const table = (id, heads, rows) => {
  const head = document.createElement("tr");
  for (const h of heads) {
    const th = document.createElement("th");
    th.textContent = h.replace("#", "");
    if (h.startsWith("#")) th.className = "n";
    head.append(th);
  }
  const lines = rows.map(cells => {
    const tr = document.createElement("tr");
    cells.forEach((c, i) => {
      const [text, kind] = Array.isArray(c) ? c : [c, ""];
      tr.append(cell(text, (heads[i].startsWith("#") ? "n " : "") + (kind || "")));
    });
    return tr;
  });
  $(id).replaceChildren(head, ...lines);
};
const tile = (name, value) => {
  const div = document.createElement("div");
  div.className = "tile";
  const b = document.createElement("b");
  b.textContent = value;
  const span = document.createElement("span");
  span.className = "dim";
  span.textContent = name;
  div.append(b, span);
  return div;
};
const kinds = {up: "good", down: "bad", draining: "warn", disabled: "warn"};
const since = s => s >= 86400 ? Math.floor(s / 86400) + " d " + Math.floor(s / 3600 % 24) + " h"
  : s >= 3600 ? Math.floor(s / 3600) + " h " + Math.floor(s / 60 % 60) + " min"
  : s >= 60 ? Math.floor(s / 60) + " min" : s + " s";
const ms = x => x.toFixed(x < 10 ? 2 : 0) + " ms";
let last = null;

function show(s, at) {
  $("sub").textContent = `${s.version}, ${s.state}, up ${since(s.uptime_s)}, ` +
    `${s.workers} worker${s.workers === 1 ? "" : "s"}, generation ${s.generation}`;
  const failed = s.last_reload && !s.last_reload.ok
    ? [`the reload at ${s.last_reload.at} failed: ${s.last_reload.text}`] : [];
  const away = s.cache.servers.filter(r => r.state !== "up").map(r => `redis ${r.address} is degraded: ${r.error}`);
  $("trouble").textContent = [...s.not_ready, ...failed, ...away].join("; ");
  const open = s.listeners.reduce((n, l) => n + l.connections, 0);
  $("tiles").replaceChildren(
    tile("requests/s", s.recent.requests_per_s.toFixed(0)), tile("p50", ms(s.recent.p50_ms)),
    tile("p95", ms(s.recent.p95_ms)), tile("p99", ms(s.recent.p99_ms)),
    tile("connections", open), tile("requests", s.totals.requests), tile("retries", s.totals.retries),
    tile("cache hits", s.cache.hits + s.cache.misses ? (100 * s.cache.hit_ratio).toFixed(1) + " %" : "\u2013"));
  table("listeners", ["name", "bind", "#connections"],
    s.listeners.map(l => [l.name, l.bind, l.connections]));
  const before = new Map();
  if (last) for (const p of last.s.pools) for (const e of p.endpoints) before.set(p.name + "/" + e.name, e.requests);
  const rows = [];
  for (const p of s.pools) for (const e of p.endpoints) {
    const key = p.name + "/" + e.name;
    const rate = last && before.has(key) && at > last.at
      ? Math.max(0, (e.requests - before.get(key)) * 1000 / (at - last.at)).toFixed(0) : "";
    const check = e.last_check;
    rows.push([p.name, e.name, e.address,
      [e.state + (e.ejected ? ", ejected" : "") + (e.backup ? ", backup" : ""), e.ejected ? "warn" : kinds[e.state]],
      e.weight, e.in_flight, rate, e.requests, e.failures, [check.text, check.ok === false ? "bad" : ""]]);
  }
  table("endpoints", ["pool", "endpoint", "address", "state", "#weight", "#in flight", "#requests/s",
    "#requests", "#failures", "last check"], rows);
  const errors = Object.entries(s.totals.errors).sort((a, b) => b[1] - a[1]);
  table("errors", ["reason", "#count"], errors.length ? errors : [["none", 0]]);
  last = {s, at};
}

async function look() {
  try {
    const answer = await fetch("/api/v1/status", {cache: "no-store"});
    if (!answer.ok) throw new Error("status " + answer.status);
    show(await answer.json(), performance.now());
  } catch (error) {
    $("trouble").textContent = "no answer from sluice: " + error.message;
  }
  setTimeout(look, 1000);
}
look();
</script>
</body>
</html>
)html";

}  // namespace

std::string_view dashboard_html() noexcept { return kPage; }

}  // namespace sluice::admin
