// The settings of the shared tier change under load, sluice stops while it waits for Redis, and
// keys are spread over two servers.
#include <signal.h>

#include <algorithm>
#include <optional>

#include "tests/e2e/harness/shared.h"

using namespace e2e;

namespace {

const std::string kFresh = "Cache-Control: max-age=600\r\n";

std::string without_redis() {
  std::string yaml = kSharedYaml;
  const std::string part = ", redis: {@redis}";
  return yaml.replace(yaml.find(part), part.size(), "");
}

Message reload(Sluice& sluice, const std::string& yaml, const Values& values) {
  sluice.rewrite(yaml, values);
  const Message answer = sluice.reload();
  CHECK_MESSAGE(answer.status == 200, answer.body);
  return answer;
}

Answers naming() {
  return [](const Message& request) { return answer(200, request.target, kFresh); };
}

std::string both(const Redis& first, const Redis& second) {
  return "urls: [\"" + first.url() + "\", \"" + second.url() + "\"], timeout: 2s";
}

}  // namespace

// Reload ------------------------------------------------------------------------------------------

TEST_CASE("e2e/redis_reload: added, changed and removed under load") {
  Redis first, second;
  Traffic traffic(first);
  Values at_first = traffic.values, at_second = traffic.values;
  at_second["redis"] = Traffic::redis_at(second.url()).at("redis");
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 3; ++i) {
    reload(traffic.sluice, kSharedYaml, at_second);
    traffic.wait_for_redis_hits();
    reload(traffic.sluice, without_redis(), at_first);
    traffic.visitors->wait_for_more(500);
    const double looks = redis_looks(traffic.sluice, "");
    traffic.visitors->wait_for_more(500);
    CHECK(redis_looks(traffic.sluice, "") == looks);
    reload(traffic.sluice, kSharedYaml, at_first);
    traffic.wait_for_redis_hits();
  }
  traffic.expect_unharmed();
  CHECK_FALSE(second.entries().empty());
}

TEST_CASE("e2e/redis_reload: many quick reloads leave no connection and no memory behind") {
  Redis first, second;
  Traffic traffic(first);
  Values forms[] = {traffic.values, traffic.values, traffic.values};
  forms[1]["redis"] = Traffic::redis_at(second.url()).at("redis");
  forms[2]["redis"] = Traffic::redis_at(second.url()).at("redis") + ", lease_wait: off";
  traffic.begin();
  traffic.wait_for_redis_hits();
  const size_t fds = traffic.sluice.fds();
  const uint64_t rss = traffic.sluice.rss_kib();
  for (int i = 1; i <= 60; ++i) {
    reload(traffic.sluice, i % 4 == 3 ? without_redis() : kSharedYaml, forms[i % 3]);
  }
  reload(traffic.sluice, kSharedYaml, forms[0]);
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
  CHECK(eventually([&] { return traffic.sluice.fds() <= fds + 8; }));
  if (!kSanitized) CHECK(traffic.sluice.rss_kib() < rss + 24 * 1024);
  // Nothing of the old settings is connected any more: two workers, purges, subscription.
  CHECK(eventually([&] {
    const std::string clients = second.ask({"CLIENT", "LIST"});
    return std::count(clients.begin(), clients.end(), '\n') == 1;  // who asks
  }));
}

TEST_CASE("e2e/redis_reload: with looks under way in a frozen Redis") {
  Redis frozen, good;
  Traffic traffic(Values{{"redis", "url: \"" + frozen.url() + "\", timeout: 500ms"}});
  Values at_good = traffic.values;
  at_good["redis"] = Traffic::redis_at(good.url()).at("redis");
  traffic.begin();
  traffic.wait_for_redis_hits();
  for (int i = 0; i < 3; ++i) {
    frozen.freeze();
    traffic.hold(milliseconds(50));
    reload(traffic.sluice, kSharedYaml, at_good);
    traffic.wait_for_redis_hits();
    frozen.thaw();
    reload(traffic.sluice, kSharedYaml, traffic.values);
    traffic.wait_for_redis_hits();
  }
  traffic.expect_unharmed();
}

// The secret is in the hash of every key that is in memory.
TEST_CASE("e2e/redis_reload: a secret that comes with a reload needs a restart, and is said to") {
  Redis redis;
  Origin origin(serving(naming()));
  Values values = shared_values(origin.address(), redis.url());
  values["redis"] += ", secret: \"of this deployment\"";
  Sluice with_it(kSharedYaml, values), later(without_redis(), values);
  const Message reloaded = reload(later, kSharedYaml, values);
  CHECK(reloaded.body.find("cache.redis.secret needs a restart") != std::string::npos);
  Sluice restarted(kSharedYaml, values);
  await_shared(with_it, restarted);
  await_shared(restarted, with_it);
}

TEST_CASE("e2e/redis_reload: a changed prefix is a changed tier") {
  Hosts hosts(naming());
  store(hosts.a, "/x");
  Values other = hosts.values();
  other["redis"] += ", prefix: \"other:\"";
  reload(hosts.b, kSharedYaml, other);
  CHECK_FALSE(is_hit(ask(hosts.b, "/x")));
  reload(hosts.a, kSharedYaml, other);
  await_shared(hosts.a, hosts.b);
  await_shared(hosts.b, hosts.a);
}

TEST_CASE("e2e/redis_reload: a purge that waits for Redis survives a reload") {
  Redis redis({"--appendonly", "yes", "--appendfsync", "always"});
  std::atomic<int> version{1};
  Origin origin(serving([&](const Message& request) {
    if (request.method != "GET") ++version;
    return answer(200, "v" + std::to_string(version), kFresh);
  }));
  const Values values = shared_values(origin.address(), redis.url());
  Sluice a(kSharedYaml, values), b(kSharedYaml, values);
  await_shared(a, b);
  await_shared(b, a);
  store(a, "/x");
  CHECK(is_from_redis(ask(b, "/x")));
  redis.kill();
  CHECK(ask(a, "/x", "Content-Length: 0\r\n", "POST").status == 200);
  Values changed = values;
  changed["redis"] += ", lease_wait: 70ms";
  reload(a, kSharedYaml, changed);
  CHECK(ask(b, "/x").body == "v1");
  redis.start();
  CHECK(eventually([&] { return ask(b, "/x").body == "v2"; }));
  CHECK(ask(a, "/x").body == "v2");
}

// Stop --------------------------------------------------------------------------------------------

// Requests whose looks wait in a Redis that does not answer, for as long as the settings say.
struct Waiting {
  Waiting(const std::string& timeout, const std::string& drain) : origin(serving(naming())) {
    Values values = shared_values(origin.address(), redis.url());
    values["redis"] = "url: \"" + redis.url() + "\", timeout: " + timeout;
    values["workers"] = "2\ndrain_timeout: " + drain;
    sluice.emplace(kSharedYaml, values);
    Sluice other(kSharedYaml, shared_values(origin.address(), redis.url()));
    await_shared(other, *sluice);
    port = sluice->port();
    redis.freeze();
    for (int i = 0; i < 20; ++i) {
      clients.push_back(Wire::to_port(port));
      clients.back().send(request_text("/x" + std::to_string(i)));
    }
    // They are there: nobody of them has come to the origin.
    sluice->wait_for_value("sluice_exchanges_open", "", 20);
  }
  ~Waiting() { redis.thaw(); }

  Redis redis;
  Origin origin;
  std::optional<Sluice> sluice;
  uint16_t port = 0;
  std::vector<Wire> clients;
};

TEST_CASE("e2e/redis_reload: TERM while looks are under way: they are answered, then exit 0") {
  Waiting waiting("700ms", "20s");
  waiting.sluice->signal(SIGTERM);
  for (size_t i = 0; i < waiting.clients.size(); ++i) {
    const Message got = waiting.clients[i].read_response();
    CHECK(got.status == 200);
    CHECK(got.body == "/x" + std::to_string(i));
  }
  CHECK(waiting.sluice->wait() == 0);
}

TEST_CASE("e2e/redis_reload: TERM ends looks that would wait longer than the drain may take") {
  Waiting waiting("10s", "300ms");
  waiting.sluice->signal(SIGTERM);
  CHECK(waiting.sluice->wait(milliseconds(4000 * kSlow)) == 0);
}

TEST_CASE("e2e/redis_reload: clients that leave while their looks are under way harm nothing") {
  Waiting waiting("10s", "300ms");
  for (Wire& client : waiting.clients) client.reset();
  CHECK(waiting.sluice->wait(milliseconds(100)) == std::nullopt);
}

// Two servers -------------------------------------------------------------------------------------

TEST_CASE("e2e/redis_reload: keys are spread over two servers; any order of them finds all") {
  Redis first, second;
  Origin origin(serving(naming()));
  Values values = shared_values(origin.address(), ""), swapped = values;
  values["redis"] = both(first, second);
  swapped["redis"] = both(second, first);
  Sluice a(kSharedYaml, values), b(kSharedYaml, swapped);
  await_shared(a, b);
  await_shared(b, a);
  for (int i = 0; i < 60; ++i) {
    const std::string path = "/k" + std::to_string(i);
    store(a, path);
    CHECK(is_from_redis(ask(b, path)));
  }
  CHECK(first.entries().size() >= 15);
  CHECK(second.entries().size() >= 15);
}

TEST_CASE("e2e/redis_reload: of two servers one dies: what is on the other one still hits") {
  Redis first, second;
  Origin origin(serving(naming()));
  Values values = shared_values(origin.address(), "");
  values["redis"] = both(first, second);
  Sluice a(kSharedYaml, values), b(kSharedYaml, values);
  await_shared(a, b);
  for (int i = 0; i < 60; ++i) store(a, "/k" + std::to_string(i));
  first.kill();
  size_t hits = 0;
  for (int i = 0; i < 60; ++i) {
    const std::string path = "/k" + std::to_string(i);
    const Message got = ask(b, path);
    CHECK(got.status == 200);
    CHECK(got.body == path);
    hits += is_from_redis(got) ? 1 : 0;
  }
  CHECK(hits >= 15);
  CHECK(hits <= 45);
  // A purge reaches the other host by the one that is left.
  CHECK(is_hit(ask(a, "/k1")));
  CHECK(ask(b, "/k1", "Content-Length: 0\r\n", "POST").status == 200);
  CHECK(eventually([&] { return !is_from_memory(ask(a, "/k1")); }));
  first.start();
  await_shared(a, b);
}

TEST_CASE("e2e/redis_reload: of two servers one dies, freezes and comes back under load") {
  Redis first, second;
  Traffic traffic(Values{
      {"redis", "urls: [\"" + first.url() + "\", \"" + second.url() + "\"], timeout: 20ms"}});
  traffic.begin();
  traffic.wait_for_redis_hits();
  first.kill();
  traffic.wait_for_redis_hits();  // from the other one
  first.start();
  CHECK(eventually([&] { return first.entries().size() > 50; }, kPatience * 2));
  second.freeze();
  traffic.hold(seconds(1));
  traffic.wait_for_redis_hits();
  second.thaw();
  traffic.wait_for_redis_hits();
  traffic.expect_unharmed();
}
