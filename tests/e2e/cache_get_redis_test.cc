// What `sluice cache get` says of the tier in Redis: what is stored there, whether this host would
// use it, and why not.
#include <algorithm>
#include <map>
#include <sstream>

#include "tests/e2e/harness/e2e.h"
#include "tests/e2e/harness/redis.h"

using namespace e2e;

namespace {

constexpr const char* kShared = R"(
workers: 1
pools: {app: {endpoints: [{address: "@a", name: a}], health: {type: off}}}
routes: [{name: all, match: {path: /}, pool: app, cache: {}}]
cache: {redis: {@redis, timeout: 5s}}
)";

const std::string kFresh = "Cache-Control: max-age=600\r\nSurrogate-Key: red\r\nETag: \"1\"\r\n";

Origin::Script always(const std::string& body, const std::string& lines = kFresh) {
  return [=](OriginConn& c) { c.serve([=](const Message&) { return answer(200, body, lines); }); };
}

Message ask(Sluice& sluice, const std::string& path, const std::string& lines = "") {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text(path, lines));
  return client.read_response();
}

std::string url_of(const std::string& path) { return "http://test" + path; }

std::string question(const std::string& path) { return "/api/v1/cache?url=" + url_of(path); }

Json look(Sluice& sluice, const std::string& path, const std::string& more = "") {
  const Message reply = sluice.admin("GET", question(path) + more);
  CAPTURE(reply.body);
  CHECK(reply.status == 200);
  return Json::parse(reply.body);
}

// Of the only key: what the server answered.
std::string answer_of(const Json& seen) {
  REQUIRE(seen["redis"].size() == 1);
  return seen["redis"][0]["answer"];
}

// Of the only entry there: its state, and what it is of no use for.
std::string state_in_redis(const Json& seen) {
  for (const Json& entry : seen["entries"]) {
    if (entry["tier"] != "redis") continue;
    const std::string state = entry["state"];
    return state == "unused" ? entry["why_unused"].get<std::string>() : state;
  }
  return "nothing";
}

bool comes_to(Sluice& sluice, const std::string& path, const std::string& state) {
  return eventually([&] { return state_in_redis(look(sluice, path)) == state; });
}

void purge(Sluice& sluice, const Json& what) {
  CHECK(sluice.admin("POST", "/api/v1/purge", what.dump()).status == 200);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Values values(const Origin& origin, const std::string& redis) {
  return {{"a", origin.address()}, {"redis", redis}};
}
std::string url_at(const std::string& url) { return "url: \"" + url + "\""; }

void wait_until_well(Sluice& sluice) {
  CHECK(eventually([&] {
    const Json servers = sluice.status()["cache"]["servers"];
    return !servers.empty() && std::all_of(servers.begin(), servers.end(),
                                           [](const Json& each) { return each["state"] == "up"; });
  }));
}

// Two hosts before one Redis.
struct Pair {
  explicit Pair(Origin::Script script)
      : origin(std::move(script)),
        a(kShared, values(origin, url_at(redis.url()))),
        b(kShared, values(origin, url_at(redis.url()))) {
    wait_until_well(a);
    wait_until_well(b);
  }
  void store(const std::string& path, const std::string& lines = "") {
    ask(a, path, lines);
    a.wait_for_value("sluice_cache_redis_writes_total", "", ++stored);
  }

  Redis redis;
  Origin origin;
  Sluice a, b;
  double stored = 0;
};

}  // namespace

TEST_CASE(
    "e2e/cache get in Redis: one host sees what another one has stored, and uses nothing up") {
  Pair hosts(always("body", kFresh + "Vary: X-V\r\n"));
  hosts.store("/x", "X-V: 1\r\n");
  hosts.store("/x", "X-V: 2\r\n");
  const Json seen = look(hosts.b, "/x", "&header=x-v:%202");
  CHECK(seen["answer"]["result"] == "hit");
  CHECK(seen["answer"]["why"].is_null());
  CHECK(has(seen["answer"]["text"], "in Redis: fresh for "));
  CHECK(answer_of(seen) == "found");
  const Json& redis = seen["redis"][0];
  CHECK(redis["server"] == hosts.redis.url());
  CHECK(redis["url"] == "http://test:80/x");
  CHECK(redis["text"] == "2 stored, 2 of use");
  CHECK(redis["expires_s"].get<int>() > 500);
  REQUIRE(hosts.redis.entries().size() == 1);
  CHECK(redis["key"] == hosts.redis.entries()[0]);
  REQUIRE(seen["entries"].size() == 2);
  for (const Json& entry : seen["entries"]) {
    CHECK(entry["tier"] == "redis");
    CHECK(entry["server"] == hosts.redis.url());
    CHECK(entry["is_match"] == (entry["vary"][0]["value"] == "2"));
    CHECK(entry["status"] == 200);
    CHECK(entry["bytes"] == 4);
    CHECK(entry["state"] == "fresh");
    CHECK(entry["ttl_s"].get<int>() > 500);
    CHECK(entry["tags"] == 1);
    CHECK(entry["etag"] == "\"1\"");
  }
  CHECK(look(hosts.b, "/x", "&header=x-v:%203")["answer"]["result"] == "miss");
  CHECK(look(hosts.a, "/x")["entries"].size() == 4);
  const Finished finished = hosts.b.command({"cache", "get", url_of("/x"), "--header", "X-V: 1"});
  CHECK(finished.exit_code == 0);
  CHECK(has(finished.out, "answer  hit: in Redis: fresh for "));
  CHECK(has(finished.out, "\nmemory  0 stored\nredis   " + hosts.redis.url() +
                              ": 2 stored, 2 of use, kept for "));
  CHECK(hosts.b.value("sluice_cache_requests_total", "tier=\"redis\"") == 0);
  CHECK(hosts.origin.requests().size() == 2);
  const Json nothing = look(hosts.b, "/y");
  CHECK(answer_of(nothing) == "absent");
  CHECK(nothing["answer"]["result"] == "miss");
  CHECK(nothing["entries"].empty());
}

TEST_CASE("e2e/cache get in Redis: what was purged, softly or not, and where") {
  Pair hosts(always("body"));
  hosts.store("/x");
  purge(hosts.a, {{"tag", "red"}, {"soft", true}});
  CHECK(comes_to(hosts.b, "/x", "stale"));
  const Json soft = look(hosts.b, "/x");
  CHECK(soft["entries"][0]["why_stale"] == "soft purge");
  CHECK(soft["answer"]["result"] == "validate");
  CHECK(soft["answer"]["why"] == "soft purge");
  purge(hosts.a, {{"tag", "red"}});
  CHECK(comes_to(hosts.b, "/x", "purged"));
  const Json gone = look(hosts.b, "/x");
  CHECK(gone["answer"]["result"] == "miss");
  CHECK(gone["redis"][0]["text"] == "1 stored, 0 of use");
  CHECK(gone["entries"][0]["is_match"] == false);
  hosts.store("/x");
  CHECK(comes_to(hosts.b, "/x", "fresh"));
  purge(hosts.a, {{"url", url_of("/x")}});  // which makes room at once
  CHECK(eventually([&] { return answer_of(look(hosts.b, "/x")) == "absent"; }));
}

TEST_CASE("e2e/cache get in Redis: a record of no use says why") {
  Pair hosts(always(std::string(300'000, 'x')));
  hosts.store("/x");
  const std::string name = look(hosts.b, "/x")["redis"][0]["key"];
  CHECK(state_in_redis(look(hosts.b, "/x")) == "fresh");
  const auto chunks = hosts.redis.keys("*:b:*:1");
  REQUIRE(chunks.size() == 1);
  CHECK(hosts.redis.ask({"DEL", chunks[0]}) == "1");
  CHECK(state_in_redis(look(hosts.b, "/x")) == "no-body");
  CHECK(look(hosts.b, "/x")["answer"]["result"] == "miss");
  const auto fields = hosts.redis.list({"HKEYS", name});
  CHECK(hosts.redis.ask({"HSET", name, fields[0], "garbage"}) == "0");
  const Json broken = look(hosts.b, "/x");
  CHECK(state_in_redis(broken) == "broken");
  CHECK(broken["entries"][0].find("status") == broken["entries"][0].end());
  CHECK(has(hosts.b.command({"cache", "get", url_of("/x")}).out, "unused: broken"));
  hosts.redis.ask({"DEL", name});
  hosts.redis.ask({"SET", name, "a text"});
  const Json refused = look(hosts.b, "/x");
  CHECK(answer_of(refused) == "refused");
  CHECK(has(refused["redis"][0]["text"], "WRONGTYPE"));
}

TEST_CASE("e2e/cache get in Redis: what was stored in an epoch that has ended is of no use") {
  Pair hosts(always("body"));
  hosts.store("/x");
  CHECK(hosts.redis.ask({"DEL", "sluice:state"}) == "1");
  CHECK(comes_to(hosts.b, "/x", "epoch"));
  CHECK(look(hosts.b, "/x")["answer"]["result"] == "miss");
}

TEST_CASE("e2e/cache get in Redis: a server that hangs costs a second, and holds nothing up") {
  Pair hosts(always("body"));
  hosts.store("/x");
  hosts.redis.freeze();
  Wire asking = Wire::to_unix(hosts.b.path("admin.sock"));
  asking.send("GET " + question("/x") + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(hosts.b.admin("GET", "/healthz").status == 200);
  Json seen;
  const milliseconds time = time_of([&] { seen = Json::parse(asking.read_response().body); });
  CHECK(time < milliseconds(3000) * kSlow);  // 1 s, and a busy machine
  const std::string answer = answer_of(seen);
  CHECK((answer == "late" || answer == "away"));  // it may have been found hanging before
  CHECK(seen["answer"]["result"] == "miss");
  CHECK(eventually([&] { return answer_of(look(hosts.b, "/x")) == "away"; }));
  CHECK(look(hosts.a, "/x")["answer"]["result"] == "hit");
  hosts.redis.thaw();
  CHECK(comes_to(hosts.b, "/x", "fresh"));
  hosts.redis.kill();
  CHECK(eventually([&] { return answer_of(look(hosts.b, "/x")) == "away"; }));
  CHECK(has(hosts.b.command({"cache", "get", url_of("/x")}).out, ": away: "));
}

TEST_CASE("e2e/cache get in Redis: a reload while it is asked leaves nobody waiting") {
  Pair hosts(always("body"));
  hosts.redis.freeze();
  Wire asking = Wire::to_unix(hosts.b.path("admin.sock"));
  asking.send("GET " + question("/x") + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(hosts.b.admin("GET", "/healthz").status == 200);  // so the question has come
  hosts.b.rewrite(R"(
pools: {app: {endpoints: [{address: "@a"}], health: {type: off}}}
routes: [{match: {path: /}, pool: app, cache: {}}]
)",
                  {{"a", hosts.origin.address()}});
  CHECK(hosts.b.reload().status == 200);
  const std::string answer = answer_of(Json::parse(asking.read_response().body));
  CHECK((answer == "late" || answer == "away"));
  CHECK(look(hosts.b, "/x")["redis"].is_null());
  CHECK(has(hosts.b.command({"cache", "get", url_of("/x")}).out, "\nredis   off\n"));
  hosts.redis.thaw();
}

TEST_CASE("e2e/cache get in Redis: of several servers the one is asked that has the key") {
  Redis one, two;
  Origin origin(always("body"));
  Sluice sluice(kShared, values(origin, "urls: [\"" + one.url() + "\", \"" + two.url() + "\"]"));
  wait_until_well(sluice);
  std::map<std::string, std::string> by_server;  // a path of each
  double stored = 0;
  for (int i = 0; by_server.size() < 2 && i < 64; ++i) {
    const std::string path = "/" + std::to_string(i);
    ask(sluice, path);
    sluice.wait_for_value("sluice_cache_redis_writes_total", "", ++stored);
    const Json seen = look(sluice, path);
    CHECK(answer_of(seen) == "found");
    by_server[seen["redis"][0]["server"]] = path;
  }
  REQUIRE(by_server.size() == 2);
  two.kill();
  CHECK(eventually([&] { return answer_of(look(sluice, by_server[two.url()])) == "away"; }));
  CHECK(answer_of(look(sluice, by_server[one.url()])) == "found");
}

namespace {

// The rules of the user in docs/operations.md.
std::vector<std::string> documented_user() {
  const std::string docs = read_file(program("SLUICE_ROOT") + "/docs/operations.md");
  const std::string mark = "\n    user sluice ";
  const size_t at = docs.find(mark);
  REQUIRE(at != std::string::npos);
  std::istringstream lines(docs.substr(at + 1));
  std::vector<std::string> words;
  for (std::string line; std::getline(lines, line) && line.starts_with("    ");) {
    std::istringstream line_words(line);
    for (std::string word; line_words >> word;) {
      if (word != "\\") words.push_back(word);
    }
  }
  words.erase(words.begin());  // "user", as in an ACL file
  return words;
}

// All that sluice does with a Redis. What this does there itself the other user asks, mostly in
// commands that sluice never uses.
void go_through_all(Redis& redis, const Values& values, Sluice& a, Sluice& b) {
  double stored = 0;
  for (int i = 0; i < 34; ++i) {  // one variant too many and more
    ask(a, "/x", "X-V: " + std::to_string(i) + "\r\n");
    a.wait_for_value("sluice_cache_redis_writes_total", "", ++stored);
  }
  ask(a, "/big");
  a.wait_for_value("sluice_cache_redis_writes_total", "", ++stored);
  CHECK(has(ask(b, "/big").field("Cache-Status"), "hit"));
  CHECK(state_in_redis(look(b, "/big")) == "fresh");
  purge(a, {{"tag", "red"}, {"soft", true}});
  CHECK(comes_to(b, "/big", "stale"));
  ask(a, "/big");  // its record and chunks give way to new ones
  a.wait_for_value("sluice_cache_redis_writes_total", "", ++stored);
  for (const std::string& name : redis.entries()) redis.ask({"HINCRBY", name, "other", "1"});
  ask(b, "/x", "X-V: 33\r\n");
  CHECK(b.reaches("sluice_shared_purges_total", "result=\"received\"", 1));
  purge(b, {{"url", url_of("/x")}});
  CHECK(a.reaches("sluice_shared_purges_total", "result=\"received\"", 1));
  {
    Sluice late(kShared, values);  // which has purges to read
    wait_until_well(late);
  }
  redis.ask({"FLUSHALL"});
  CHECK(eventually([&] { return redis.keys("sluice:state").size() == 1; }));
}

// Of "+get": whether Redis has run it, for whomever.
bool was_run(const std::string& stats, const std::string& rule) {
  return has(stats, "cmdstat_" + rule.substr(1) + ":");
}

}  // namespace

TEST_CASE(
    "e2e/redis: the user that operators are told to make may do all, and no more than needed") {
  Redis redis;
  std::vector<std::string> rules = documented_user();
  const std::string password = "s3cret word";
  std::ranges::replace(rules, ">PASSWORD", ">" + password);
  rules.insert(rules.begin(), {"ACL", "SETUSER"});
  REQUIRE(redis.ask(rules) == "OK");
  Origin origin([](OriginConn& c) {
    c.serve([](const Message& request) {
      const bool is_big = request.target == "/big";
      return answer(200, is_big ? std::string(600'000, 'x') : "body", kFresh + "Vary: X-V\r\n");
    });
  });
  const Values both =
      values(origin, url_at(redis.tcp_url("sluice:s3cret%20word") + "/0") + ", lease_wait: 5s");
  {
    const Values elsewhere = values(origin, url_at(redis.tcp_url("sluice:s3cret%20word") + "/1"));
    Sluice a(kShared, both), b(kShared, both), c(kShared, elsewhere);
    for (Sluice* each : {&a, &b, &c}) wait_until_well(*each);
    go_through_all(redis, both, a, b);
    for (Sluice* each : {&a, &b}) {
      CHECK(each->value("sluice_cache_requests_total", "tier=\"redis\",result=\"late\"") == 0);
      CHECK(each->value("sluice_cache_redis_writes_skipped_total", "") == 0);
      const Json status = each->status();
      for (const Json& server : status["cache"]["servers"]) {
        CHECK(server["subscribed"] == true);
        CHECK(server["error"] == "");
      }
      const std::string told = look(*each, "/x").dump() + each->status().dump() + each->err();
      CHECK_FALSE(has(told, "s3cret"));
    }
  }
  const auto refused = redis.list({"ACL", "LOG"});
  CHECK_MESSAGE(refused.empty(), (refused.size() > 5 ? refused[5] + " " + refused[7] : ""));
  const std::string stats = redis.ask({"INFO", "commandstats"});
  for (const std::string& rule : rules) {
    if (rule.starts_with('+')) CHECK_MESSAGE(was_run(stats, rule), rule);
  }
}
