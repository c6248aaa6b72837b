// The page of the order backend in a real browser, through sluice: browser/page.mjs does the
// clicking and looking.
#include <filesystem>

#include "tests/e2e/orders_support.h"

using namespace e2e;

namespace {

constexpr const char* kProducts = R"({"products":[
  {"id":"last","name":"Last one","price_cents":99900,"stock":1},
  {"id":"long","name":"A product with a rather long name","price_cents":4950,"stock":250000},
  {"id":"mug","name":"Mug","price_cents":1299,"stock":1000},
  {"id":"two","name":"Two left","price_cents":799,"stock":2}]})";

// The routes are those of conf/demo.yaml.
constexpr const char* kRoutes = R"(
pools:
  orders:
    balance: round_robin
    endpoints: [{address: "@a", name: a}, {address: "@b", name: b}]
    health: {type: http, path: /healthz, interval: 2s}
routes:
  - {name: products, match: {path: /products}, pool: orders, cache: {}}
  - {name: orders, match: {path: /}, pool: orders}
)";

std::vector<std::string> serve_words(const TempDir& dir) {
  write_file(dir.path("seed.json"), kProducts);
  return {"--seed", dir.path("seed.json"), "--user-limit", "4"};
}

}  // namespace

TEST_CASE(
    "e2e/orders: the page sells, shows states, hits and refusals, and comes back after a loss") {
  TempDir dir;
  OrdersServer a(dir, "a", serve_words(dir)), b(dir, "b", serve_words(dir));
  Sluice sluice(kRoutes, {{"a", a.address()}, {"b", b.address()}});
  std::unique_ptr<OrdersWorker> worker;
  const std::string browser = program("BROWSER"), out = dir.path("node.out"),
                    err = dir.path("node.err");
  Process node({"node", program("SLUICE_ROOT") + "/tests/browser/page.mjs", browser, sluice.url(),
                dir.path("")},
               out, err);
  // What the script asks for, once each.
  const auto please = [&](const std::string& word, const std::function<void()>& act) {
    const bool is_asked = eventually(
        [&] {
          return node.poll_exit() || read_file(out).find("please " + word) != std::string::npos;
        },
        kPatience * 8);
    if (!is_asked || node.poll_exit()) throw Failure(read_file(out) + read_file(err));
    act();
    write_file(dir.path(word), "");
  };
  please("work", [&] { worker = std::make_unique<OrdersWorker>(dir, "w"); });
  please("kill", [&] {
    a.process().kill();
    b.process().kill();
  });
  please("start", [&] {
    a.process().start();
    b.process().start();
  });
  const auto code = node.wait(kPatience * 8);
  INFO(read_file(out), read_file(err));
  CHECK(code == 0);
  for (const char* picture : {"light.png", "dark.png", "narrow.png"}) {
    CHECK(std::filesystem::file_size(browser + "/" + picture) > 10'000);
  }
  // The orders of the page: two mugs, the last one, and one that was asked for twice.
  const auto status = [&] { return Json::parse(a.ask("/status").body); };
  CHECK(eventually([&] { return status().at("orders").at("shipped") == 4; }));
  CHECK(status().at("orders").at("accepted") == 0);
  CHECK(status().at("drift") == 0);
}

TEST_CASE("e2e/orders: the page asks nobody but its own origin, and nobody may frame it") {
  TempDir dir;
  OrdersServer a(dir, "a");
  for (const auto& [path, type] : {std::pair("/", "text/html"), std::pair("/page.css", "text/css"),
                                   std::pair("/page.js", "text/javascript")}) {
    CAPTURE(path);
    const Message answer = a.ask(path);
    CHECK(answer.status == 200);
    CHECK(answer.field("Content-Type") == std::string(type) + "; charset=utf-8");
    CHECK(answer.field("X-Backend") == "a");
    CHECK(answer.field("X-Content-Type-Options") == "nosniff");
    const std::string policy = answer.field("Content-Security-Policy");
    CHECK(policy.starts_with("default-src 'none'; "));
    CHECK(policy.find("unsafe") == std::string::npos);
    CHECK(policy.find("frame-ancestors 'none'") != std::string::npos);
    CHECK(answer.body.find("://") == std::string::npos);
    const Message head = a.ask(path, "HEAD");
    CHECK(head.field("Content-Length") == std::to_string(answer.body.size()));
    const Message refused = a.ask(path, "DELETE");
    CHECK(refused.status == 405);
    CHECK(refused.field("Allow") == "GET, HEAD");
  }
}
