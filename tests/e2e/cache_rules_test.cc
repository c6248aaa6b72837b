// What the keys of a route's cache do, seen from outside: each rule against the answer of an
// endpoint that it changes. What is stale came so, with an Age: no test waits for time to pass.
#include <algorithm>

#include "tests/e2e/harness/e2e.h"

using namespace e2e;

namespace {

constexpr const char* kRuled = R"(
workers: 2
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /}, pool: app, cache: {@rules}}
)";

// An endpoint whose answers are numbered, and sluice before it with these rules.
class Ruled {
 public:
  Ruled(const std::string& rules, const std::string& lines, int status = 200)
      : origin_(std::make_unique<Origin>(numbered(status, lines))),
        sluice_(kRuled, {{"a", origin_->address()}, {"rules", rules}}) {}

  Message ask(const std::string& path = "/", const std::string& lines = "") {
    Wire client = Wire::to_port(sluice_.port());
    client.send(request_text(path, lines));
    return client.read_response();
  }
  // Whether the second of two requests is answered from the cache.
  bool is_kept() {
    ask();
    return is_hit(ask());
  }
  // The same for two different ones.
  bool is_same(const std::string& path, const std::string& other, const std::string& lines = "",
               const std::string& other_lines = "") {
    ask(path, lines);
    return is_hit(ask(other, other_lines));
  }
  void stop_endpoint() { origin_.reset(); }
  Origin& origin() { return *origin_; }

  static std::string status_of(const Message& message) { return message.field("Cache-Status"); }
  static bool is_hit(const Message& message) {
    return status_of(message).starts_with("sluice; hit");
  }
  static int ttl_of(const Message& message) {
    const std::string status = status_of(message), intro = "sluice; hit; ttl=";
    if (!status.starts_with(intro)) throw Failure("no hit: " + status);
    return std::stoi(status.substr(intro.size()));
  }

 private:
  static Origin::Script numbered(int status, const std::string& lines) {
    auto count = std::make_shared<std::atomic<int>>(0);
    return [=](OriginConn& c) {
      c.serve(
          [&](const Message&) { return answer(status, "v" + std::to_string(++*count), lines); });
    };
  }

  std::unique_ptr<Origin> origin_;
  Sluice sluice_;
};

const std::string kFresh = "Cache-Control: max-age=60\r\n";
const std::string kStale = "Cache-Control: max-age=10\r\nAge: 60\r\nETag: \"1\"\r\n";

}  // namespace

// Lifetimes ---------------------------------------------------------------------------------------

TEST_CASE("e2e/cache_rules: default_ttl is for what gives no lifetime itself") {
  CHECK_FALSE(Ruled("", "").is_kept());
  Ruled silent("default_ttl: 1h", "");
  CHECK(silent.is_kept());
  CHECK(silent.ttl_of(silent.ask()) > 3500);
  CHECK_FALSE(Ruled("default_ttl: 1h", "Cache-Control: max-age=0\r\n").is_kept());
  CHECK_FALSE(Ruled("default_ttl: 1h", "Cache-Control: no-store\r\n").is_kept());
  CHECK_FALSE(Ruled("default_ttl: 1h", "", 404).is_kept());  // errors only by status_ttl
}

TEST_CASE("e2e/cache_rules: forced_ttl counts whatever lifetime the endpoint gives") {
  for (const char* lines : {
           "",
           "Cache-Control: max-age=0\r\n",
           "Cache-Control: s-maxage=5\r\n",
           "Cache-Control: no-cache\r\n",
           "Expires: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
           "Cache-Control: max-age=10\r\nAge: 60\r\n",
       }) {
    CAPTURE(lines);
    Ruled forced("forced_ttl: 1h", lines);
    CHECK(forced.is_kept());
    CHECK(forced.ttl_of(forced.ask()) > 3500);
  }
}

TEST_CASE("e2e/cache_rules: forced_ttl stores nothing that must not be (RFC 9111 3)") {
  CHECK_FALSE(Ruled("forced_ttl: 1h", "Cache-Control: no-store\r\n").is_kept());
  CHECK_FALSE(Ruled("forced_ttl: 1h", "Cache-Control: private\r\n").is_kept());
  CHECK_FALSE(Ruled("forced_ttl: 1h", "Set-Cookie: a=b\r\n").is_kept());
  CHECK_FALSE(Ruled("forced_ttl: 1h", "", 500).is_kept());
}

TEST_CASE("e2e/cache_rules: status_ttl keeps a 404 for a while: negative caching") {
  CHECK_FALSE(Ruled("", "", 404).is_kept());
  Ruled negative("status_ttl: {404: 1h}", "", 404);
  CHECK(negative.is_kept());
  const Message hit = negative.ask();
  CHECK(hit.status == 404);
  CHECK(hit.body == "v1");
  CHECK(negative.ttl_of(hit) > 3500);
  CHECK_FALSE(Ruled("status_ttl: {404: 1h}", "", 410).is_kept());
  CHECK_FALSE(Ruled("status_ttl: {404: 1h}", "Cache-Control: max-age=0\r\n", 404).is_kept());
  CHECK(Ruled("default_ttl: 1h", "", 301).is_kept());
  CHECK_FALSE(Ruled("default_ttl: 1h, status_ttl: {301: off}", "", 301).is_kept());
}

TEST_CASE("e2e/cache_rules: max_ttl cuts what the endpoint gives") {
  Ruled cut("max_ttl: 1m", "Cache-Control: max-age=86400\r\n");
  CHECK(cut.is_kept());
  CHECK(cut.ttl_of(cut.ask()) <= 60);
  Ruled aged("max_ttl: 1m", "Cache-Control: max-age=86400\r\nAge: 600\r\n");
  CHECK(aged.is_kept());  // counted from receipt
  CHECK(aged.ttl_of(aged.ask()) <= 60);
}

TEST_CASE("e2e/cache_rules: jitter makes a lifetime shorter, never longer, by no more than that") {
  Ruled shaken("default_ttl: 1000s, jitter: 50%", "");
  int least = 1000, most = 0;
  for (int i = 0; i < 20; ++i) {
    const std::string path = "/" + std::to_string(i);
    shaken.ask(path);
    const int ttl = shaken.ttl_of(shaken.ask(path));
    least = std::min(least, ttl);
    most = std::max(most, ttl);
  }
  CHECK(most <= 1000);
  CHECK(least >= 400);
  CHECK(most - least >= 50);
}

TEST_CASE("e2e/cache_rules: heuristic: false guesses nothing from Last-Modified (RFC 9111 4.2.2)") {
  const std::string old = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
  CHECK(Ruled("", old).is_kept());
  CHECK_FALSE(Ruled("heuristic: false", old).is_kept());
  CHECK(Ruled("heuristic: false", old + kFresh).is_kept());
}

// Stale -------------------------------------------------------------------------------------------

TEST_CASE("e2e/cache_rules: stale_if_unreachable serves what is stale while no endpoint answers") {
  const auto without_endpoint = [](const std::string& rules) {
    Ruled ruled(rules, kStale);
    ruled.ask();
    ruled.stop_endpoint();
    return ruled.ask();
  };
  const Message stale = without_endpoint("");
  CHECK(stale.status == 200);
  CHECK(Ruled::ttl_of(stale) < 0);
  CHECK(without_endpoint("stale_if_unreachable: off").status == 502);
  CHECK(without_endpoint("stale_if_unreachable: 10s").status == 502);  // stale for longer
}

TEST_CASE("e2e/cache_rules: stale_while_revalidate of a route; s-maxage forbids it (RFC 5861 3)") {
  Ruled plain("stale_while_revalidate: 10m", kStale);
  CHECK(plain.is_kept());
  CHECK_FALSE(Ruled("stale_while_revalidate: 10m",
                    "Cache-Control: s-maxage=10\r\nAge: 60\r\nETag: \"1\"\r\n")
                  .is_kept());
  const std::string both =
      "Cache-Control: s-maxage=10, stale-while-revalidate=600\r\nAge: 60\r\nETag: \"1\"\r\n";
  CHECK_FALSE(Ruled("", both).is_kept());
  CHECK(Ruled("stale_beside_s_maxage: true", both).is_kept());
}

// Requests and responses --------------------------------------------------------------------------

TEST_CASE("e2e/cache_rules: set_cookie: never stores no response that sets one") {
  const std::string lines = kFresh + "Set-Cookie: a=b\r\n";
  CHECK(Ruled("", lines).is_kept());  // its lifetime is explicit
  CHECK_FALSE(Ruled("set_cookie: never", lines).is_kept());
  CHECK(Ruled("set_cookie: never", kFresh).is_kept());
}

TEST_CASE("e2e/cache_rules: honour_client: false answers a reload from the cache") {
  for (const char* lines :
       {"Cache-Control: no-cache\r\n", "Cache-Control: max-age=0\r\n", "Pragma: no-cache\r\n"}) {
    CAPTURE(lines);
    CHECK_FALSE(Ruled("", kFresh).is_same("/", "/", "", lines));
    CHECK(Ruled("honour_client: false", kFresh).is_same("/", "/", "", lines));
  }
  Ruled ruled("honour_client: false", kFresh);
  CHECK(ruled.ask("/", "Cache-Control: only-if-cached\r\n").status == 504);
}

TEST_CASE("e2e/cache_rules: bypass_headers goes past the cache and stores nothing") {
  Ruled ruled("bypass_headers: [X-Preview]", kFresh);
  CHECK(Ruled::status_of(ruled.ask("/", "x-preview: 1\r\n")).starts_with("sluice; fwd=bypass"));
  CHECK(ruled.ask().body == "v2");
  CHECK(ruled.ask().body == "v2");
  CHECK(ruled.ask("/", "X-Preview:\r\n").body == "v3");
  CHECK(ruled.ask().body == "v2");
}

TEST_CASE("e2e/cache_rules: bypass_cookies goes past the cache and stores nothing") {
  Ruled ruled("bypass_cookies: [session]", kFresh);
  CHECK(Ruled::status_of(ruled.ask("/", "Cookie: a=b; session=1\r\n"))
            .starts_with("sluice; fwd=bypass"));
  CHECK(ruled.ask().body == "v2");
  CHECK(Ruled::is_hit(ruled.ask("/", "Cookie: a=session; Session=1\r\n")));
  CHECK(ruled.ask("/", "Cookie: session=2\r\n").body == "v3");
}

TEST_CASE("e2e/cache_rules: targeted_fields say whose lifetime counts (RFC 9213)") {
  const std::string lines =
      "Cache-Control: max-age=0\r\nShop-Cache-Control: max-age=60\r\nCDN-Cache-Control: "
      "no-store\r\n";
  CHECK_FALSE(Ruled("", lines).is_kept());
  CHECK(Ruled("targeted_fields: [Shop-Cache-Control]", lines).is_kept());
  CHECK(Ruled("targeted_fields: []", "CDN-Cache-Control: no-store\r\n" + kFresh).is_kept());
}

TEST_CASE("e2e/cache_rules: where Surrogate-Control does not count it goes on to the client") {
  const std::string lines = "Surrogate-Control: max-age=60\r\n";
  Ruled ours("", lines);
  CHECK_FALSE(ours.ask().has("Surrogate-Control"));
  CHECK(ours.origin().request(0).field("Surrogate-Capability") == "sluice=\"Surrogate/1.0\"");
  Ruled others("targeted_fields: [cdn-cache-control]", lines);
  CHECK(others.ask().field("Surrogate-Control") == "max-age=60");
  CHECK_FALSE(others.origin().request(0).has("Surrogate-Capability"));
}

// Keys --------------------------------------------------------------------------------------------

TEST_CASE(
    "e2e/cache_rules: key.query.only: no other parameter counts, the endpoint gets them all") {
  Ruled ruled("key: {query: {only: [page, f*]}}", kFresh);
  CHECK(ruled.is_same("/?page=1&utm=x", "/?utm=y&page=1&z"));
  CHECK(ruled.origin().request(0).target == "/?page=1&utm=x");
  CHECK_FALSE(ruled.is_same("/?page=1", "/?page=2"));
  CHECK_FALSE(ruled.is_same("/?page=1", "/?page=1&filter=a"));
  CHECK(Ruled("key: {query: {only: []}}", kFresh).is_same("/a?b=1", "/a"));
}

TEST_CASE("e2e/cache_rules: key.query.without: these parameters do not count") {
  Ruled ruled("key: {query: {without: [utm_*, fbclid]}}", kFresh);
  CHECK(ruled.is_same("/?a=1&utm_source=x", "/?fbclid=2&a=1&utm_medium=y"));
  CHECK_FALSE(ruled.is_same("/?a=1", "/?a=2&fbclid=2"));
  CHECK_FALSE(ruled.is_same("/?a=1", "/?a=1&fbclid2=2"));
}

TEST_CASE("e2e/cache_rules: key.sort_query: parameters in any order are the same") {
  CHECK_FALSE(Ruled("", kFresh).is_same("/?a=1&b=2", "/?b=2&a=1"));
  Ruled ruled("key: {sort_query: true}", kFresh);
  CHECK(ruled.is_same("/?a=1&b=2", "/?b=2&a=1"));
  CHECK_FALSE(ruled.is_same("/?a=1&a=2", "/?a=2&a=1"));  // one name: order may mean something
}

TEST_CASE("e2e/cache_rules: key.headers: each value has its own response") {
  Ruled ruled("key: {headers: [X-Country]}", kFresh);
  CHECK(ruled.ask("/", "X-Country: de\r\n").body == "v1");
  CHECK(ruled.ask("/", "X-Country: fr\r\n").body == "v2");
  CHECK(ruled.ask().body == "v3");
  CHECK(ruled.ask("/", "x-country: de\r\n").body == "v1");
  CHECK(ruled.ask("/", "X-Country: fr\r\n").body == "v2");
  CHECK(ruled.ask("/", "X-Other: fr\r\n").body == "v3");
}

TEST_CASE("e2e/cache_rules: key.cookies: each value of these cookies has its own response") {
  Ruled ruled("key: {cookies: [currency]}", kFresh);
  CHECK(ruled.ask("/", "Cookie: currency=eur; id=1\r\n").body == "v1");
  CHECK(ruled.ask("/", "Cookie: currency=usd; id=1\r\n").body == "v2");
  CHECK(ruled.ask("/", "Cookie: id=3\r\n").body == "v3");
  CHECK(ruled.ask("/", "Cookie: id=2; currency=eur\r\n").body == "v1");
  CHECK(ruled.ask().body == "v3");
}
