#include "sluice/orders/page/page.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kText = R"js("use strict";
// Products and their cache, orders by key, and the stream of states: in this order below. All URLs
// are relative, so that the page works wherever a proxy has put it.
const kMostOrders = 20, kMostFetches = 6, kFetchEveryMs = 2000, kPatienceMs = 10000;
const $ = id => document.getElementById(id);
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), {textContent: text}, more);
const clock = date => date.toLocaleTimeString([], {hour12: false});

const products = new Map();   // id: {id, name, price_cents, stock}
const cards = new Map();      // id: {stock, button}
const orders = new Map();     // id: {order_id, version, status, items, at}, the oldest first
const mine = new Set();       // ids of orders
const open = new Map();       // what was asked for and not answered: its Idempotency-Key
const busy = new Set();       // products being ordered
const user = "visitor-" + random().slice(0, 8);

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map(byte => byte.toString(16).padStart(2, "0")).join("");
}
function say(text, kind = "good") {
  $("notice").dataset.kind = kind;
  $("notice").textContent = text;
}
function complain(text) {
  $("notice").textContent = "";
  $("trouble").textContent = text;
}

// Products ---------------------------------------------------------------------------------------

let fetchTimer = 0, fetchFailed = false;
function fetchIn(ms) {
  clearTimeout(fetchTimer);
  fetchTimer = setTimeout(fetchProducts, ms);
}

// Past the browser's own cache, which would hide the proxy's; a Cache-Control of our own, which asks
// for nothing special, keeps the browser from adding one that passes the proxy's cache too.
async function fetchProducts() {
  fetchIn(document.hidden ? 5 * kFetchEveryMs : kFetchEveryMs);
  const asked = new Date();
  try {
    const answer = await fetch("products", {cache: "no-store", signal: AbortSignal.timeout(kPatienceMs),
      headers: {"Accept": "application/json", "Cache-Control": "no-transform"}});
    showFetch(asked, answer);
    if (!answer.ok) throw new Error(await problem(answer));
    for (const product of (await answer.json()).products) showProduct(product);
    if (fetchFailed) complain("");
    fetchFailed = false;
  } catch (error) {
    fetchFailed = true;
    complain("The products cannot be fetched: " + reason(error) + " Trying again.");
  }
}

function showProduct(product) {
  products.set(product.id, product);
  if (!cards.has(product.id)) addCard(product);
  const card = cards.get(product.id);
  card.stock.textContent = product.stock;
  showButton(product.id);
}

function addCard(product) {
  const item = make("li", "");
  const line = make("p", "", {className: "stock"});
  const stock = make("b", "");
  line.append(make("span", (product.price_cents / 100).toFixed(2), {className: "dim"}));
  const left = make("span", "");
  left.append(stock, " left");
  line.append(left);
  const button = make("button", "Order", {type: "button"});
  button.addEventListener("click", () => order(product.id));
  item.append(make("h3", product.name), line, button);
  item.dataset.product = product.id;
  $("products").append(item);
  cards.set(product.id, {stock, button});
}

// A button that is really disabled would lose the keyboard's focus.
function showButton(id) {
  const {button} = cards.get(id), {name, stock} = products.get(id);
  const text = busy.has(id) ? "Ordering…" : stock > 0 ? "Order" : "Sold out";
  button.setAttribute("aria-disabled", String(text !== "Order"));
  if (button.textContent !== text) button.textContent = text;
  button.setAttribute("aria-label", text + ": " + name);
}

function showFetch(asked, answer) {
  const status = answer.headers.get("Cache-Status") ?? "";
  const [kind, text] = cacheWord(status);
  const row = make("tr", "");
  const cache = make("td", "");
  cache.append(make("span", text, {className: "state"}));
  cache.firstChild.dataset.kind = kind;
  const age = answer.headers.get("Age");
  row.append(make("td", clock(asked)), cache, make("td", age === null ? "–" : age + " s"),
    make("td", answer.headers.get("X-Backend") ?? "–"));
  $("fetches").prepend(row);
  while ($("fetches").children.length > kMostFetches) $("fetches").lastChild.remove();
  $("cache-status").textContent = status || "none";
}

// Of RFC 9211: what the cache nearest to us has done, which comes last.
function cacheWord(status) {
  const last = status.split(",").pop();
  if (!status) return ["", "none"];
  if (!/;\s*hit\b/.test(last)) return ["wait", "miss"];
  return /;\s*ttl=-/.test(last) ? ["paid", "hit, stale"] : ["good", "hit"];
}

// Ordering ---------------------------------------------------------------------------------------

// What was not answered for sure is asked again with the same key, and so is ordered once at most.
async function order(id) {
  if (busy.has(id) || products.get(id).stock <= 0) return;
  const units = Number($("units").value), name = products.get(id).name;
  const what = id + " " + units;
  if (!open.has(what)) open.set(what, random());
  busy.add(id);
  showButton(id);
  try {
    const answer = await fetch("orders", {method: "POST", signal: AbortSignal.timeout(kPatienceMs),
      headers: {"Content-Type": "application/json", "Accept": "application/json",
        "Idempotency-Key": open.get(what)},
      body: JSON.stringify({user_id: user, items: [{product_id: id, quantity: units}]})});
    if (answer.status < 500) open.delete(what);
    if (!answer.ok) throw new Error(await problem(answer));
    const order = await answer.json();
    mine.add(order.order_id);
    complain("");
    say(`Order ${short(order.order_id)}, ${units} × ${name}: accepted by backend ` +
      `${answer.headers.get("X-Backend") ?? "unknown"}.`);
    showOrder({order_id: order.order_id, version: 1, status: order.status, items: order.items,
      at: new Date().toISOString()});
    drawOrder(order.order_id);  // its event may have come before the answer
  } catch (error) {
    complain(`${name} was not ordered: ${reason(error)}` + (open.has(what) ?
      " Should it have arrived all the same, pressing Order again will not order it twice." : ""));
  }
  busy.delete(id);
  showButton(id);
  fetchIn(0);
}

// What an answer that is no success tells, as people say it.
async function problem(answer) {
  const body = await answer.json().catch(() => ({}));
  const word = String(body.type ?? "").split("/").pop();
  const detail = body.detail ?? body.message ?? body.title ?? answer.statusText;
  const later = answer.headers.get("Retry-After");
  const wait = later === null ? "" : ` Try again in ${later} s.`;
  if (word === "sold_out") return `sold out: ${detail}.`;
  if (answer.status === 429) return `too many orders: ${detail}.${wait}`;
  if (answer.status >= 500) return `the shop does not answer as it should (${answer.status}): ${detail}.${wait}`;
  return `${detail} (${answer.status}).`;
}
function reason(error) {
  if (error instanceof TypeError) return "no connection.";
  if (error.name === "TimeoutError") return "no answer in time.";
  return error.message;
}

// Orders, live -----------------------------------------------------------------------------------

const kinds = {accepted: "wait", paid: "paid", shipped: "good", failed: "bad"};
const short = id => "…" + id.slice(-6);

// A state may be told twice, or late: the version says which is newer.
function showOrder(told) {
  const known = orders.get(told.order_id);
  if (known && known.version >= told.version) return;
  const row = known?.row ?? make("tr", "");
  if (!known) $("orders").prepend(row);
  orders.set(told.order_id, {...told, row});
  drawOrder(told.order_id);
  if (mine.has(told.order_id) && told.version > 1) {
    say(`Your order ${short(told.order_id)} is ${told.status}.`, kinds[told.status]);
  }
  for (const [id, {row: old}] of orders) {
    if (orders.size <= kMostOrders) break;
    old.remove();
    orders.delete(id);
  }
  $("no-orders").hidden = true;
}

function drawOrder(id) {
  const {status, items, at, row} = orders.get(id);
  const name = make("td", short(id), {title: id}), state = make("td", "");
  state.append(make("span", status, {className: "state"}));
  state.firstChild.dataset.kind = kinds[status] ?? "";
  if (mine.has(id)) name.append(" ", make("span", "yours", {className: "mark"}));
  row.className = mine.has(id) ? "mine" : "";
  const texts = items.map(item =>
    `${item.quantity} × ${products.get(item.product_id)?.name ?? item.product_id}`);
  row.replaceChildren(name, state, make("td", texts.join(", ")), make("td", clock(new Date(at))));
}

let lastId = "", isLost = false, stockTimer = 0;
function live(text, kind) {
  $("live").dataset.kind = kind;
  $("live").textContent = text;
}

// The browser comes back by itself after a lost connection, but not after an answer like 503.
function watch() {
  const events = new EventSource(lastId ? "events?after=" + lastId : "events");
  events.addEventListener("hello", event => {
    live("Live, told by backend " + JSON.parse(event.data).backend, "good");
    if (isLost) say("The connection is back.");
    isLost = false;
  });
  events.addEventListener("order", event => {
    lastId = event.lastEventId;
    showOrder(JSON.parse(event.data));
    stockTimer ||= setTimeout(() => { stockTimer = 0; fetchIn(0); }, 1000);
  });
  events.addEventListener("skipped", () =>
    say("More happened than can be shown here; what follows is the newest.", "wait"));
  events.addEventListener("error", () => {
    live("Connection lost, trying again…", "bad");
    isLost = true;
    if (events.readyState === EventSource.CLOSED) setTimeout(watch, 2000);
  });
}

$("fetch").addEventListener("click", fetchProducts);
document.addEventListener("visibilitychange", () => document.hidden || fetchIn(0));
fetchProducts().finally(watch);
)js";

}  // namespace

std::string_view page_js() noexcept { return kText; }

}  // namespace sluice::orders
