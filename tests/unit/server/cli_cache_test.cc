#include <doctest/doctest.h>

#include "sluice/server/cli.h"

namespace sluice::server {

TEST_CASE("server/cli: what was purged, in one line") {
  struct Case {
    const char* answer;
    const char* line;
  };
  const Case cases[] = {
      {R"({"ok":true,"what":"url","url":"http://h:80/x","kind":"hard","entries":1})",
       "purged hard: http://h:80/x: 1 entry in memory\n"},
      {R"({"ok":true,"what":"prefix","prefix":"http://h:80/","kind":"soft","entries":0})",
       "purged soft: http://h:80/*: 0 entries in memory\n"},
      {R"({"ok":true,"what":"tag","tag":"a b","kind":"hard","entries":null})",
       "purged hard: tag a b\n"},
      {R"({"ok":true,"what":"all","kind":"hard","entries":12})",
       "purged hard: everything: 12 entries in memory\n"},
  };
  for (const Case& c : cases) CHECK(purge_line(c.answer) == c.line);
}

TEST_CASE("server/cli: what is stored, as a table") {
  const std::string table = cache_table(R"({"url":"http://h:80/x",
    "route":{"name":"all","pool":"app","has_cache":true,
      "key":{"url":"http://h:80/x","query":"without","parameters":["utm_*","id"],"sort":true,
             "headers":["x-v"],"cookies":[],"pool":"app"}},
    "answer":{"result":"validate","why":"expired","text":"the endpoint is asked"},
    "entries":[{"tier":"memory","is_match":true,"status":200,"bytes":1234,"state":"stale",
      "why_stale":"expired","age_s":70,"ttl_s":-10,"stored":"T","tags":2,
      "vary":[{"name":"accept-encoding","value":"gzip"},{"name":"x-v","value":null}]},
     {"tier":"memory","is_match":false,"status":404,"bytes":0,"state":"fresh","why_stale":null,
      "age_s":1,"ttl_s":9,"stored":"T","tags":0,"vary":[]},
     {"tier":"redis","is_match":false,"state":"unused","why_unused":"broken","text":"t"}],
    "redis":[{"server":"s:1","answer":"found","text":"1 stored, 0 of use","expires_s":58},
     {"server":"s:2","answer":"late","text":"no answer within 1 s","expires_s":null}]})");
  CHECK(
      table ==
      "http://h:80/x\n"
      "route   all, pool app\n"
      "key     the URL, of its query not utm_* id, its query sorted, the headers x-v, the pool "
      "app\n"
      "answer  validate (expired): the endpoint is asked\n"
      "memory  2 stored\n"
      "redis   s:1: 1 stored, 0 of use, kept for 58 s\n"
      "redis   s:2: late: no answer within 1 s\n"
      "\n"
      "   TIER    STATUS  BYTES   AGE    TTL  STATE           TAGS  STORED  VARY\n"
      ">  memory     200   1234  70 s  -10 s  stale: expired     2  T       accept-encoding: gzip, "
      "x-v absent\n"
      "   memory     404      0   1 s    9 s  fresh              0  T       -\n"
      "   redis        -      -     -      -  unused: broken     -  -       -\n");
}

TEST_CASE("server/cli: why nothing is stored; and an answer that is none of sluice's") {
  CHECK(cache_table(R"({"url":"u","route":null,"answer":{"result":"none","why":"no-route",
    "text":"no route matches"},"entries":[],"redis":null})") ==
        "u\nroute   none\nanswer  none (no-route): no route matches\nmemory  0 stored\n"
        "redis   off\n");
  CHECK(cache_table("<html>").starts_with("-\n"));
}

TEST_CASE("server/cli: the status has the cache by route where one was asked") {
  const std::string table = status_table(R"({"cache":{"entries":3,"bytes":1024,"limit":2048,
    "routes":[{"name":"all","hits":3,"misses":1,"hit_ratio":0.75}]}})",
                                         false);
  CHECK(
      table.ends_with("\nCACHED ROUTE  HITS  MISSES   RATIO\n"
                      "all              3       1  75.0 %\n"
                      "cache: 3 entries, 1KiB of 2KiB\n"));
}

}  // namespace sluice::server
