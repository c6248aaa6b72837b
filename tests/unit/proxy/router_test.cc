#include "sluice/proxy/router.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace sluice::proxy {

namespace {

using config::Match;

struct Asked {
  std::string_view method = "GET";
  std::string_view authority = "shop.example";
  std::string_view path = "/";
  std::vector<http::Field> fields = {};
};

config::SnapshotPtr snapshot_of(const std::vector<Match>& matches) {
  config::Config config;
  for (const Match& match : matches) {
    config::Route route;
    route.name = "route-" + std::to_string(config.routes.size() + 1);
    route.match = match;
    route.action = config::Route::Action::kRespond;
    config.routes.push_back(route);
  }
  return config::make_snapshot(std::move(config), 1);
}

// The index of the route, or -1.
int route_for(const std::vector<Match>& matches, const Asked& asked) {
  const config::SnapshotPtr snapshot = snapshot_of(matches);
  http::RequestHead head;
  head.method_text = asked.method;
  head.method = http::method_of(asked.method);
  head.authority = asked.authority;
  head.path = asked.path;
  head.fields = http::FieldList(asked.fields);
  const auto index = find_route(*snapshot, head, asked.path);
  return index ? static_cast<int>(*index) : -1;
}

Match path(Match::PathKind kind, std::string text) {
  Match match;
  match.path_kind = kind;
  match.path = std::move(text);
  return match;
}

Match host(Match::HostKind kind, std::string text) {
  Match match;
  match.host_kind = kind;
  match.host = std::move(text);
  return match;
}

Match method(std::vector<std::string> methods) {
  Match match;
  match.methods = std::move(methods);
  return match;
}

Match header(std::vector<config::HeaderMatch> headers) {
  Match match;
  match.headers = std::move(headers);
  return match;
}

bool takes(const Match& match, const Asked& asked) { return route_for({match}, asked) == 0; }

bool takes_path(const Match& match, std::string_view text) {
  Asked asked;
  asked.path = text;
  return takes(match, asked);
}

bool takes_host(const Match& match, std::string_view authority) {
  Asked asked;
  asked.authority = authority;
  return takes(match, asked);
}

}  // namespace

TEST_CASE("proxy/router: the first route that matches wins, in listed order") {
  const Match all, a = path(Match::PathKind::kSegment, "/a");
  const Match ab = path(Match::PathKind::kSegment, "/a/b");
  Asked asked;
  asked.path = "/a/b/c";
  CHECK(route_for({a, ab, all}, asked) == 0);
  CHECK(route_for({ab, a, all}, asked) == 0);
  CHECK(route_for({all, ab, a}, asked) == 0);
  asked.path = "/a/x";
  CHECK(route_for({ab, a, all}, asked) == 1);
  asked.path = "/x";
  CHECK(route_for({ab, a, all}, asked) == 2);
  CHECK(route_for({ab, a}, asked) == -1);
}

TEST_CASE("proxy/router: a path matches whole segments") {
  struct Row {
    Match::PathKind kind;
    std::string_view pattern, path;
    bool matches;
  };
  using Kind = Match::PathKind;
  const Row rows[] = {
      {Kind::kAny, "", "/", true},
      {Kind::kAny, "", "/anything/at/all", true},
      {Kind::kAny, "", "*", true},
      {Kind::kSegment, "/a", "/a", true},
      {Kind::kSegment, "/a", "/a/", true},
      {Kind::kSegment, "/a", "/a/b", true},
      {Kind::kSegment, "/a", "/ab", false},
      {Kind::kSegment, "/a", "/A", false},
      {Kind::kSegment, "/a", "/", false},
      {Kind::kSegment, "/a", "*", false},
      {Kind::kBelow, "/a/", "/a/", true},
      {Kind::kBelow, "/a/", "/a/b", true},
      {Kind::kBelow, "/a/", "/a", false},
      {Kind::kBelow, "/a/", "/ab", false},
      {Kind::kBelow, "/a/", "*", false},
      {Kind::kExact, "/old", "/old", true},
      {Kind::kExact, "/old", "/old/", false},
      {Kind::kExact, "/old", "/ol", false},
      {Kind::kExact, "/", "/", true},
      {Kind::kExact, "/", "/a", false},
      {Kind::kExact, "/", "*", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.pattern);
    CAPTURE(row.path);
    CHECK(takes_path(path(row.kind, std::string(row.pattern)), row.path) == row.matches);
  }
}

TEST_CASE("proxy/router: a host is compared without case, port, brackets and last dot") {
  const Match name = host(Match::HostKind::kExact, "shop.example");
  for (std::string_view authority : {"shop.example", "SHOP.Example", "shop.example:8080",
                                     "shop.example.", "shop.example.:80", "shop.example:"}) {
    CAPTURE(authority);
    CHECK(takes_host(name, authority));
  }
  for (std::string_view authority : {"", ".", "shop.exampl", "xshop.example", "www.shop.example",
                                     "shop.example.org", "shop.example..", "127.0.0.1"}) {
    CAPTURE(authority);
    CHECK_FALSE(takes_host(name, authority));
  }
  for (const char* pattern : {"::1", "[::1]"}) {
    CHECK(takes_host(host(Match::HostKind::kExact, pattern), "[::1]"));
    CHECK(takes_host(host(Match::HostKind::kExact, pattern), "[::1]:8080"));
    CHECK_FALSE(takes_host(host(Match::HostKind::kExact, pattern), "[::2]:8080"));
  }
}

TEST_CASE("proxy/router: a suffix takes every name below it, not the domain itself") {
  const Match suffix = host(Match::HostKind::kSuffix, ".example.org");
  for (std::string_view authority :
       {"a.example.org", "a.b.example.org", "A.EXAMPLE.ORG:443", "a.example.org."}) {
    CAPTURE(authority);
    CHECK(takes_host(suffix, authority));
  }
  for (std::string_view authority :
       {"example.org", ".example.org", "aexample.org", "org", "", "a.example.org.evil"}) {
    CAPTURE(authority);
    CHECK_FALSE(takes_host(suffix, authority));
  }
}

TEST_CASE("proxy/router: methods are case-sensitive and may be unknown ones (RFC 9110 9.1)") {
  Asked asked;
  asked.method = "POST";
  CHECK(takes(method({"GET", "POST"}), asked));
  CHECK_FALSE(takes(method({"GET"}), asked));
  CHECK_FALSE(takes(method({"post"}), asked));
  asked.method = "PROPFIND";
  CHECK(takes(method({"PROPFIND"}), asked));
  CHECK_FALSE(takes(method({"GET"}), asked));
}

TEST_CASE("proxy/router: all headers have to match, each by any line of its name") {
  Asked asked;
  asked.fields = {{"X-A", "1", http::FieldId::kOther},
                  {"x-a", "b", http::FieldId::kOther},
                  {"X-B", "c", http::FieldId::kOther}};
  CHECK(takes(header({{"x-a", "b"}}), asked));
  CHECK(takes(header({{"x-a", "1"}}), asked));
  CHECK(takes(header({{"x-a", "b"}, {"x-b", "c"}}), asked));
  CHECK_FALSE(takes(header({{"x-a", "B"}}), asked));
  CHECK_FALSE(takes(header({{"x-a", ""}}), asked));
  CHECK_FALSE(takes(header({{"x-a", "b"}, {"x-b", "d"}}), asked));
  CHECK_FALSE(takes(header({{"x-c", "b"}}), asked));
}

TEST_CASE("proxy/router: everything that a route asks must hold") {
  Match match = path(Match::PathKind::kExact, "/old");
  match.host_kind = Match::HostKind::kExact;
  match.host = "shop.example";
  match.methods = {"GET"};
  match.headers = {{"x-a", "b"}};
  Asked good;
  good.path = "/old";
  good.fields = {{"X-A", "b", http::FieldId::kOther}};
  CHECK(takes(match, good));
  Asked asked = good;
  asked.path = "/new";
  CHECK_FALSE(takes(match, asked));
  asked = good;
  asked.authority = "other.example";
  CHECK_FALSE(takes(match, asked));
  asked = good;
  asked.method = "HEAD";
  CHECK_FALSE(takes(match, asked));
  asked = good;
  asked.fields.clear();
  CHECK_FALSE(takes(match, asked));
}

}  // namespace sluice::proxy
