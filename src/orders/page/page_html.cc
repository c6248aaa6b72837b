#include "sluice/orders/page/page.h"

namespace sluice::orders {
namespace {

// All text that comes from elsewhere is put in by the script as text, so that none can be markup.
constexpr std::string_view kText = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Flash sale</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<script src="page.js" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the products</a>
<header>
  <h1>Flash sale</h1>
  <p id="live" class="pill" data-kind="wait" role="status">Connecting&hellip;</p>
</header>
<main id="main" tabindex="-1">
<noscript><p class="notice" data-kind="bad">This page needs JavaScript.
<a href="products">The products as JSON</a>.</p></noscript>
<p id="notice" class="notice" role="status"></p>
<p id="trouble" class="notice" data-kind="bad" role="alert"></p>

<section aria-labelledby="products-title">
  <div class="bar">
    <h2 id="products-title">Products</h2>
    <label>Units in an order <select id="units">
      <option>1</option><option>5</option><option>10</option><option>100</option>
    </select></label>
  </div>
  <ul id="products" class="cards"></ul>
</section>

<div class="columns">
<section aria-labelledby="orders-title">
  <h2 id="orders-title">Orders, live</h2>
  <div class="scroll" role="region" aria-labelledby="orders-title" tabindex="0">
  <table>
    <thead><tr><th scope="col">Order</th><th scope="col">State</th><th scope="col">Products</th>
    <th scope="col">Since</th></tr></thead>
    <tbody id="orders"></tbody>
  </table>
  <p id="no-orders" class="dim">Nobody has ordered yet.</p>
  </div>
</section>

<section aria-labelledby="fetches-title">
  <div class="bar">
    <h2 id="fetches-title">Who told the stock</h2>
    <button id="fetch" type="button" class="plain">Fetch again</button>
  </div>
  <div class="scroll" role="region" aria-labelledby="fetches-title" tabindex="0">
  <table>
    <thead><tr><th scope="col">Asked at</th><th scope="col">Cache</th><th scope="col">Age</th>
    <th scope="col">Backend</th></tr></thead>
    <tbody id="fetches"></tbody>
  </table>
  </div>
  <p class="dim">Cache-Status: <code id="cache-status">none</code></p>
</section>
</div>
</main>
</body>
</html>
)html";

}  // namespace

std::string_view page_html() noexcept { return kText; }

}  // namespace sluice::orders
