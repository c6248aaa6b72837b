#include "sluice/admin/purge.h"

#include <nlohmann/json.hpp>

#include "sluice/admin/cache_look.h"
#include "sluice/base/log.h"
#include "sluice/cache/policy_invalidate.h"
#include "support.h"

namespace sluice::admin {
namespace {

using Json = nlohmann::json;

struct QuietApi : test::ApiFixture {
  QuietApi() { set_log_level(LogLevel::off); }
  ~QuietApi() { set_log_level(LogLevel::info); }
};

std::string tag_text(std::string_view kind, std::string_view tag) {
  const auto parsed = kind == "soft" ? cache::PurgeKind::soft : cache::PurgeKind::hard;
  return cache::to_text({cache::PurgeOrder::What::tag, parsed, {}, cache::tag_hash(tag)});
}

}  // namespace

TEST_CASE_FIXTURE(QuietApi, "admin/purge: each kind of purge, hard and soft") {
  struct Case {
    const char* body;
    std::string order;
    const char* answer;
  };
  const Case cases[] = {
      {R"({"url": "http://H/x?y#z"})", "hard url http://h:80/x?y",
       R"({"ok":true,"what":"url","url":"http://h:80/x?y","kind":"hard","entries":0})"},
      {R"({"prefix": "https://h:8443", "soft": true})", "soft prefix https://h:8443/",
       R"({"ok":true,"what":"prefix","prefix":"https://h:8443/","kind":"soft","entries":0})"},
      {R"({"tag": "two words", "soft": false})", tag_text("hard", "two words"),
       R"({"ok":true,"what":"tag","tag":"two words","kind":"hard","entries":null})"},
      {R"({"all": true, "soft": true})", "soft all",
       R"({"ok":true,"what":"all","kind":"soft","entries":0})"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    port.purges.clear();
    const auto reply = post("/api/v1/purge", c.body);
    CHECK(reply.status == 200);
    CHECK(Json::parse(reply.body) == Json::parse(c.answer));
    CHECK(port.purges == std::vector<std::string>{c.order});
  }
  CHECK(port.purge_count == 4);
}

TEST_CASE_FIXTURE(QuietApi, "admin/purge: a group is the tag of its origin (RFC 9875 2.1)") {
  const auto reply = post("/api/v1/purge", R"({"group": "g, h", "url": "http://a/x"})");
  CHECK(reply.status == 200);
  ChunkPool chunks;
  Arena arena(chunks);
  const uint64_t tag = cache::group_tag({"http", "a", "/"}, "g, h", arena);
  CHECK(port.purges == std::vector{cache::to_text(
                           {cache::PurgeOrder::What::tag, cache::PurgeKind::hard, {}, tag})});
}

TEST_CASE_FIXTURE(QuietApi, "admin/purge: lists go together and count as one request") {
  const auto reply = post("/api/v1/purge", R"({"urls": ["http://a/", "http://b/"], "tags": ["t"],
                                              "prefixes": ["http://c/"], "soft": true})");
  const Json answer = Json::parse(reply.body);
  CHECK(reply.status == 200);
  CHECK(answer["kind"] == "soft");
  CHECK(answer["entries"].is_null());  // that of a tag is not known
  REQUIRE(answer["purged"].size() == 4);
  CHECK(answer["purged"][1]["url"] == "http://b:80/");
  CHECK(answer["purged"][1]["entries"] == 0);
  CHECK(port.purges.size() == 4);
  CHECK(port.purge_count == 1);
}

TEST_CASE_FIXTURE(QuietApi,
                  "admin/purge: mistakes are told with what would be right; nothing goes") {
  struct Case {
    std::string body;
    const char* says;
  };
  const Case cases[] = {
      {"", "the body must be one of"},
      {"url=http://a/", "the body must be one of"},
      {"[]", "the body must be one of"},
      {"{\"url\": \"http://a/\xff\"}", "the body must be one of"},
      {"{}", "nothing says what to purge"},
      {R"({"soft": true})", "nothing says what to purge"},
      {R"({"url": "http://a/", "tag": "t"})", "at once"},
      {R"({"urls": ["http://a/"], "tag": "t"})", "at once"},
      {R"({"url": "http://a/", "url": "http://b/"})", "twice"},
      {R"({"uri": "http://a/"})", "unknown key \\\"uri\\\""},
      {R"({"url": "http://a/", "hard": true})", "unknown key"},
      {R"({"url": "http://a/", "soft": 1})", "soft must be true or false"},
      {R"({"url": 1})", "url must be a string"},
      {R"({"url": ""})", "no absolute URL"},
      {R"({"url": "/x"})", "no absolute URL"},
      {R"({"url": "a/x"})", "no absolute URL"},
      {R"({"url": "http://"})", "no absolute URL"},
      {R"({"url": "http://user@a/"})", "no absolute URL"},
      {R"({"url": "http://a/b c"})", "percent-encoded"},
      {"{\"url\": \"http://a/\xc3\xa4\"}", "percent-encoded"},
      {R"({"prefix": "ftp://a/"})", "no absolute URL"},
      {R"({"tag": ""})", "a tag is empty"},
      {R"({"tag": "  "})", "a tag is empty"},
      {R"({"tag": "a,b"})", "a comma separates tags"},
      {R"({"tag": "a "})", "begins or ends with a space"},
      {R"({"tag": "a\nb"})", "control character"},
      {R"({"tag": ["a"]})", "tag must be a string"},
      {R"({"tags": []})", "tags must be a list"},
      {R"({"tags": "a"})", "tags must be a list"},
      {R"({"tags": ["a", ""]})", "a tag is empty"},
      {R"({"urls": ["http://a/", "b"]})", "no absolute URL"},
      {R"({"all": false})", "all must be true"},
      {R"({"group": "g"})", "its origin's alone"},
      {R"({"group": "\u00e4", "url": "http://a/"})", "printable ASCII"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    const auto reply = post("/api/v1/purge", c.body);
    CHECK(reply.status == 400);
    CAPTURE(reply.body);
    CHECK(reply.body.find(c.says) != std::string::npos);
  }
  CHECK(port.purges.empty());
  CHECK(port.purge_count == 0);
}

TEST_CASE_FIXTURE(QuietApi, "admin/purge: pages of other origins may not, nor may a GET") {
  const std::string body = R"({"all": true})";
  CHECK(ask("POST", "/api/v1/purge", body, {{"origin", "http://evil.test"}})->answer.status == 403);
  CHECK(ask("POST", "/api/v1/purge", body, {{"host", "evil.test"}})->answer.status == 403);
  CHECK(ask("PURGE", "/api/v1/purge", body)->answer.status == 405);
  CHECK(get("/api/v1/purge").status == 405);
  CHECK(port.purges.empty());
}

TEST_CASE("admin/cache_look: the question goes there and back") {
  const std::string target =
      cache_question("http://127.0.0.1:8080/a?b=c&d=%20e+f#g", {"X-A: 1 & 2", "x-b:"});
  const CacheQuestion question = parse_cache_question(target.substr(target.find('?') + 1));
  CHECK(question.problem == "");
  CHECK(question.url == "http://127.0.0.1:8080/a?b=c&d=%20e+f");
  CHECK(question.fields ==
        std::vector<std::pair<std::string, std::string>>{{"X-A", "1 & 2"}, {"x-b", ""}});
  CHECK(question.is_pretty);
}

TEST_CASE("admin/cache_look: mistakes in the question") {
  struct Case {
    const char* query;
    const char* says;
  };
  for (const Case& c :
       {Case{"", "which URL?"}, Case{"url=", "no absolute URL"},
        Case{"url=http://a/?b&c=d", "unknown parameter \"c\""},
        Case{"url=http://a/&url=http://a/", "twice"}, Case{"url=http://a/%4", "percent-encoding"},
        Case{"url=http://a/&header=x", "Name: value"},
        Case{"url=http://a/&header=x:%0ay", "Name: value"},
        Case{"url=http://a/&header=x%20:y", "Name: value"}}) {
    CAPTURE(c.query);
    CHECK(parse_cache_question(c.query).problem.find(c.says) != std::string::npos);
  }
}

}  // namespace sluice::admin
