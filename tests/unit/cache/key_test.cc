#include "sluice/cache/key.h"

#include <map>

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

std::string text_of(const KeyUrl& url, const KeyRule& rule = {}, const Fields& request = {}) {
  Memory memory;
  const auto key = make_key(url, request.list(), rule, kSecret, memory.arena);
  return key ? std::string(key->text) : "(none)";
}
std::string target_of(std::string_view target, const KeyRule& rule) {
  const std::string text = text_of({"http", "a", target}, rule);
  return text.substr(text.find(":80/") + 3);
}

}  // namespace

TEST_CASE("cache/key: the text has method class, scheme, host, port and the target as it came") {
  CHECK(text_of({"http", "Shop.Example", "/a/../b?x=1"}) ==
        "GET 33 http://shop.example:80/a/../b?x=1");
  CHECK(text_of({"https", "a", "/"}) == "GET 14 https://a:443/");
  CHECK(text_of({"http", "a:8080", "/"}) == "GET 14 http://a:8080/");
  CHECK(text_of({"http", "[::1]:81", "/"}) == "GET 16 http://[::1]:81/");
  CHECK(text_of({"http", "a", "/%7Ex"}) == "GET 16 http://a:80/%7Ex");
  CHECK(text_of({"http", "a", "*"}) == "(none)");
  CHECK(text_of({"http", "a", ""}) == "(none)");
}

TEST_CASE("cache/key: header and cookie values and the space are counted parts behind the URL") {
  KeyRule rule;
  rule.fields = {"x-a", "x-b"};
  rule.cookies = {"c"};
  const Fields request({{"X-A", "1"}, {"x-a", ""}, {"Cookie", "b=2; c=3"}, {"Cookie", "c=a=b;c"}});
  CHECK(text_of({"http", "a", "/"}, rule, request) ==
        "GET 12 http://a:80/h3:x-a 2 1:1 0:c1:c 2 1:3 3:a=b");
  rule.space = "pool";
  CHECK(text_of({"http", "a", "/"}, rule) == "GET 12 http://a:80/s4:pool");
  Memory memory;
  CHECK(memory.key("/", rule).has_extras());
  CHECK_FALSE(memory.key("/").has_extras());
}

TEST_CASE("cache/key: no two different requests have one text, whatever bytes they hold") {
  KeyRule rule;
  rule.fields = {"x-a", "x-b"};
  rule.cookies = {"c"};
  const std::vector<std::string> hosts = {
      "a",      "a:8",       "a:80",   "a%3a8", "a/x", "a:8/x", "[a]", "[a]:8",  "[a",
      "[a]:/x", "[a/]:8]",   "a:8:80", "b",     "a\n", "",      ":",   ":8",     "a%0a",
      "a b",    "a:80http:", "u@a",    "a#",    "a?x", "[::1]", "::1", "[::1]:8"};
  const std::vector<std::string> targets = {
      "/",    "/x", "/x:80/", "/8/",           "/0/x", "//a:80/",    "/?",   "/?x",
      "/%2f", "/ ", "/\n",    "/h3:x-a 1 1:1", "/ h",  "/x-a 1 1:1", "/%00", std::string("/\0", 2)};
  const std::vector<Fields::Lines> requests = {
      {},
      {{"x-a", ""}},
      {{"x-a", "1"}},
      {{"x-b", "1"}},
      {{"x-a", "1"}, {"x-a", "1"}},
      {{"x-a", "1 1:1"}},
      {{"x-a", "1h3:x-b 1 1:1"}},
      {{"x-a", "1"}, {"x-b", "1"}},
      {{"cookie", "c=1"}},
      {{"cookie", "c="}},
      {{"x-a", "c1:c 1 1:1"}},
  };
  std::map<std::string, std::string> seen;
  for (const char* scheme : {"http", "https"}) {
    for (const std::string& host : hosts) {
      for (const std::string& target : targets) {
        for (size_t i = 0; i < requests.size(); ++i) {
          const std::string text = text_of({scheme, host, target}, rule, requests[i]);
          // A default port may be said or not.
          std::string name = host;
          if (!host.empty() && host.back() == ':') name.pop_back();
          const bool is_plain = std::string(scheme) == "http";
          if (is_plain && name == "a:80") name = "a";
          const std::string input =
              std::string(scheme) + "\x01" + name + "\x01" + target + "\x01" + std::to_string(i);
          const auto [there, is_new] = seen.emplace(text, input);
          if (!is_new) CHECK_MESSAGE(there->second == input, text);
        }
      }
    }
  }
  CHECK(seen.size() > 7000);
}

TEST_CASE("cache/key: the query by rule; what endpoints might read otherwise stays") {
  KeyRule without;
  without.query = KeyRule::Query::without;
  without.parameters = {"utm_*", "gclid"};
  KeyRule only;
  only.query = KeyRule::Query::only;
  only.parameters = {"id", "page"};
  KeyRule sorted;
  sorted.sort = true;
  const struct {
    const KeyRule& rule;
    std::string_view target, expected;
  } cases[] = {
      {without, "/x?utm_source=a&id=1&gclid=2", "/x?id=1"},
      {without, "/x?utm_source=a", "/x"},
      {without, "/x?", "/x"},
      {without, "/x", "/x"},
      {without, "/x?a&&b", "/x?a&b"},
      {without, "/x?gclid2=1", "/x?gclid2=1"},
      {without, "/x?UTM_a=1", "/x?UTM_a=1"},
      {without, "/x?%75tm_a=1", "/x?%75tm_a=1"},        // only decoded it is one
      {without, "/x?utm_a=1;id=2", "/x?utm_a=1;id=2"},  // two for who separates by ";"
      {only, "/x?id=1&z=2&page=3", "/x?id=1&page=3"},
      {only, "/x?%69d=1&z=2", "/x?%69d=1"},  // an endpoint reads id
      {only, "/x?id[0]=1&id%5B1%5D=2", "/x?id[0]=1&id%5B1%5D=2"},
      {only, "/x?z=1;id=2", "/x?z=1;id=2"},
      {only, "/x?idx=1", "/x"},
      {sorted, "/x?b=2&a=1&b=1&a=0", "/x?a=1&a=0&b=2&b=1"},
      {sorted, "/x?b&a", "/x?a&b"},
  };
  for (const auto& row : cases) CHECK(target_of(row.target, row.rule) == row.expected);
}

TEST_CASE("cache/key: the hash is the same on every host with one secret, another with another") {
  ChunkPool pool;
  Arena arena(pool);
  const HashSecret one("sluice:"), same("sluice:"), other("other:");
  const KeyUrl url{"http", "a", "/"};
  const Hash128 hash = make_key(url, {}, {}, one, arena)->hash;
  CHECK(hash == make_key(url, {}, {}, same, arena)->hash);
  CHECK_FALSE(hash == make_key(url, {}, {}, other, arena)->hash);
  // Fixed for ever: hosts of different versions share one tier.
  CHECK(hash.low == 0x1adb3cf16d78c7e1ULL);
  CHECK(hash.high == 0x24a9102afb04769aULL);
}

TEST_CASE("cache/key: a URL as people write it becomes that of its key, and is found in the text") {
  Memory memory;
  const struct {
    std::string_view url;
    std::optional<std::string_view> expected;
  } cases[] = {
      {"http://Shop.Example", "http://shop.example:80/"},
      {"http://shop.example?x", "http://shop.example:80/?x"},
      {"HTTPS://shop.example/a?b=1", "https://shop.example:443/a?b=1"},
      {"http://shop.example:8080/a", "http://shop.example:8080/a"},
      {"/a", std::nullopt},
      {"ftp://a/", std::nullopt},
      {"http://u@a/", std::nullopt},
      {"http:///a", std::nullopt},
  };
  for (const auto& row : cases) CHECK(canonical_url(row.url, {}, memory.arena) == row.expected);

  const Key key = memory.key("/a?b");
  CHECK(canonical_url("http://shop.example/a?b", {}, memory.arena) == key.url);
  CHECK(key_of_url(key.url, kSecret, memory.arena).text == key.text);
  CHECK(key_of_url(key.url, kSecret, memory.arena).hash == key.hash);
  CHECK(url_of_key(key.text) == key.url);
  for (const std::string_view text : {"", "GET", "GET ", "GET x", "GET 5 abc", "POST 1 a",
                                      "GET 99999999999999999999 a", "GET  a"}) {
    CHECK_FALSE(url_of_key(text));
  }
}
