#include "sluice/http/uri.h"

#include <doctest/doctest.h>

#include <string>

using namespace sluice;
using namespace sluice::http;

TEST_CASE("http/uri: which authorities may stand in Host (RFC 3986 3.2.2)") {
  for (std::string_view good :
       {"a", "shop.example", "shop.example:80", "shop.example:", "127.0.0.1:65535", "[::1]",
        "[::1]:8080", "[::ffff:1.2.3.4]", "a_b-c~d", "a%20b", "a!$&'()*+,;=b", "XN--A"}) {
    CAPTURE(good);
    CHECK(is_valid_host(good));
  }
  for (std::string_view bad : {"",
                               ":80",
                               "user@host",
                               "a b",
                               "a/b",
                               "a?b",
                               "a#b",
                               "a\\b",
                               "a:b",
                               "a:80:80",
                               "a:-1",
                               "a:+80",
                               "a:65536",
                               "a:000080",
                               "a%",
                               "a%2",
                               "a%zz",
                               "[",
                               "[]",
                               "[::1",
                               "::1",
                               "[::g]",
                               "[::1]x",
                               "[::1]:x",
                               "[fe80::1%25eth0]",
                               "[v1.a]",
                               "a\x80",
                               "<a>",
                               "a,b:80x",
                               "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_valid_host(bad));
  }
  CHECK_FALSE(is_valid_host(std::string_view("a\0b", 3)));
}

TEST_CASE("http/uri: an authority is split at its port") {
  struct Row {
    std::string_view authority, host, port;
  };
  for (const Row& row :
       {Row{"a", "a", ""}, Row{"a:80", "a", "80"}, Row{"a:", "a", ""}, Row{"[::1]", "[::1]", ""},
        Row{"[::1]:80", "[::1]", "80"}, Row{"", "", ""}}) {
    const Authority parts = split_authority(row.authority);
    CHECK(parts.host == row.host);
    CHECK(parts.port == row.port);
  }
}

TEST_CASE("http/uri: absolute-form is taken apart (RFC 9112 3.2.2)") {
  const auto form = parse_absolute_form("HTTP://a.example:80/p?q");
  REQUIRE(form);
  CHECK(form->scheme == "HTTP");
  CHECK(form->authority == "a.example:80");
  CHECK(form->path_and_query == "/p?q");
  CHECK(parse_absolute_form("https://a")->path_and_query == "");
  CHECK(parse_absolute_form("http://a?q")->authority == "a");
  CHECK(parse_absolute_form("http://a?q")->path_and_query == "?q");
  for (std::string_view bad :
       {"", "/", "*", "a:80", "ftp://a/", "http:/a", "http:a", "://a", "httpx://a"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_absolute_form(bad));
  }
}

TEST_CASE("http/uri: paths are normalised for matching (RFC 3986 6.2.2)") {
  struct Row {
    std::string_view path, normalised;
  };
  const Row rows[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a//b", "/a//b"},
      {"*", "*"},
      {"", ""},
      {"/%61%7e%2D", "/a~-"},
      {"/a%2fb", "/a%2Fb"},
      {"/a%2Fb", "/a%2Fb"},
      {"/%00", "/%00"},
      {"/%c3%a4", "/%C3%A4"},
      {"/%2561", "/%2561"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/../../c", "/c"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/.", "/a/"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/.", "/"},
      {"/...", "/..."},
      {"/.a/..b/c.", "/.a/..b/c."},
      {"/a/..b%2f..c", "/a/..b%2F..c"},
      {"/a/...;v=1", "/a/...;v=1"},
      {"/a;../b", "/a;../b"},
      {"/%2561/%252e%252e", "/%2561/%252e%252e"},
  };
  ChunkPool pool;
  Arena arena(pool);
  for (const Row& row : rows) {
    CAPTURE(row.path);
    const auto path = normalise_path(row.path, arena);
    REQUIRE(path);
    CHECK(*path == row.normalised);
    if (row.path == row.normalised) CHECK(path->data() == row.path.data());
    const auto again = normalise_path(*path, arena);
    REQUIRE(again);
    CHECK(*again == row.normalised);
  }
  for (std::string_view bad :
       {"//../a", "/a//../b", "/a/..%2fb", "/a/x%2F..", "/%2e%2e%5cb", "/a/..;/b", "/a/%2e;v=1",
        "/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e", "/a/%2e./.%2e/b", "/%", "/%2", "/%2g",
        "/%g2", "/a%", "/./.."}) {
    CAPTURE(bad);
    CHECK(normalise_path(bad, arena).error().code() == Errc::kBadTarget);
  }
}

TEST_CASE("http/uri: a prefix holds whole segments") {
  CHECK(path_has_prefix("/a", "/a"));
  CHECK(path_has_prefix("/a/b", "/a"));
  CHECK(path_has_prefix("/a/", "/a"));
  CHECK_FALSE(path_has_prefix("/ab", "/a"));
  CHECK_FALSE(path_has_prefix("/", "/a"));
  CHECK(path_has_prefix("/a/b", "/a/"));
  CHECK(path_has_prefix("/a/", "/a/"));
  CHECK_FALSE(path_has_prefix("/a", "/a/"));
  CHECK(path_has_prefix("/anything", "/"));
}

TEST_CASE("http/uri: a prefix is stripped, and a path remains") {
  struct Row {
    std::string_view target, prefix, stripped;
  };
  const Row rows[] = {
      {"/api/x?q=1", "/api", "/x?q=1"},
      {"/api/x?q=1", "/api/", "/x?q=1"},
      {"/api", "/api", "/"},
      {"/api/", "/api", "/"},
      {"/api?q", "/api", "/?q"},
      {"/api/?q", "/api/", "/?q"},
      {"/apix", "/api", "/apix"},
      {"/other", "/api", "/other"},
      {"/a%70i/%78?%70", "/api", "/x?%70"},
      {"/v1/../api/x", "/api", "/x"},
      {"/v1/../api?q", "/api", "/?q"},
      {"/api//evil.example/x", "/api", "/evil.example/x"},
      {"/api///?q", "/api/", "/?q"},
      {"/v1/../api//x", "/api", "/x"},
      {"/x", "/", "/x"},
      {"/x", "", "/x"},
      {"/api/x?/../y", "/api", "/x?/../y"},
  };
  ChunkPool pool;
  Arena arena(pool);
  for (const Row& row : rows) {
    CAPTURE(row.target);
    CAPTURE(row.prefix);
    const auto path = normalise_path(row.target.substr(0, row.target.find('?')), arena);
    REQUIRE(path);
    CHECK(strip_prefix(row.target, *path, row.prefix, arena) == row.stripped);
  }
}
