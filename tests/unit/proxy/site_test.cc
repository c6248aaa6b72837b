#include "sluice/proxy/site.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "sluice/http/http_date.h"
#include "sluice/upstream/pool_shared.h"

namespace sluice::proxy {

namespace {

struct Fixture {
  loop::Loop loop;
  stats::Counters counters;
  stats::RequestTable requests;
  stats::NameTable names;
  upstream::ConnectionPool connections{loop, counters};

  WorkerKit kit(uint32_t index = 0, uint64_t seed = 1) {
    return WorkerKit{.index = index,
                     .loop = loop,
                     .counters = counters,
                     .requests = requests,
                     .connections = connections,
                     .random = Random(seed)};
  }
};

std::string make_id(WorkerKit& kit) {
  char id[32];
  kit.write_id(id);
  return {id, sizeof(id)};
}

class NoHandler : public Handler {
 public:
  void handle(std::shared_ptr<HandlerCall>) override {}
};

config::Pool pool_named(std::string name, uint16_t port) {
  config::Pool pool;
  pool.name = std::move(name);
  config::Endpoint endpoint;
  endpoint.address = {config::EndpointAddress::Kind::kIp, "127.0.0.1", port, ""};
  endpoint.name = endpoint.address.text();
  pool.endpoints.push_back(endpoint);
  return pool;
}

config::Route route_to(std::string name, uint32_t pool_index) {
  config::Route route;
  route.name = std::move(name);
  route.pool_index = pool_index;
  return route;
}

// As upstream::Registry makes them.
std::vector<upstream::PoolParts> parts_of(const config::Snapshot& snapshot,
                                          stats::NameTable& names) {
  std::vector<upstream::PoolParts> parts;
  for (const config::Pool& pool : snapshot.config.pools) {
    upstream::PoolParts made;
    made.shared = std::make_shared<upstream::PoolShared>(pool.name, names.intern(pool.name), 1);
    for (const config::Endpoint& endpoint : pool.endpoints) {
      made.endpoints.push_back(std::make_shared<upstream::Endpoint>(pool.name, endpoint, 1,
                                                                    names.intern(endpoint.name)));
    }
    parts.push_back(std::move(made));
  }
  return parts;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "proxy/site: ids are 32 hex digits and never come twice") {
  WorkerKit first = kit(0), second = kit(1), again = kit(0, 2);
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    for (WorkerKit* each : {&first, &second, &again}) {
      const std::string id = make_id(*each);
      CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
      CHECK(http::is_valid_request_id(id));
      CHECK(ids.insert(id).second);
    }
  }
}

TEST_CASE_FIXTURE(Fixture, "proxy/site: the date is the wall clock's (RFC 9110 5.6.7)") {
  WorkerKit worker = kit();
  for (int tries = 0; tries < 100; ++tries) {
    const int64_t before = time(nullptr);
    const std::string date(worker.http_date());
    if (time(nullptr) != before) continue;
    char expected[29];
    http::write_http_date(expected, before);
    CHECK(date == std::string(expected, sizeof(expected)));
    CHECK(worker.http_date() == date);
    return;
  }
  FAIL("no second lasted long enough");
}

TEST_CASE_FIXTURE(Fixture, "proxy/site: storage of exchanges is reused, up to a bound") {
  WorkerKit worker = kit();
  void* first = worker.take_exchange_storage(1000);
  void* second = worker.take_exchange_storage(1000);
  CHECK(first != second);
  CHECK(reinterpret_cast<uintptr_t>(first) % alignof(std::max_align_t) == 0);
  std::memset(first, 1, 1000);
  worker.give_exchange_storage(first);
  CHECK(worker.take_exchange_storage(1000) == first);
  worker.give_exchange_storage(first);
  void* larger = worker.take_exchange_storage(2000);
  CHECK(larger != first);
  std::memset(larger, 1, 2000);
  worker.give_exchange_storage(second);
  worker.give_exchange_storage(larger);
  CHECK(worker.free_count_ == 3);
  std::vector<void*> many;
  for (size_t i = 0; i < WorkerKit::kMostFree + 10; ++i) {
    many.push_back(worker.take_exchange_storage(64));
  }
  for (void* storage : many) worker.give_exchange_storage(storage);
  CHECK(worker.free_count_ == WorkerKit::kMostFree);
}

TEST_CASE_FIXTURE(Fixture, "proxy/site: a handler's site has no snapshot and counts exchanges") {
  WorkerKit worker = kit();
  NoHandler handler;
  Site site(worker, handler, names);
  CHECK(&site.kit() == &worker);
  CHECK(site.handler() == &handler);
  CHECK(site.snapshot() == nullptr);
  CHECK(site.pools().empty());
  site.enter();
  site.enter();
  site.leave();
  CHECK(site.active() == 1);
  site.leave();
  CHECK(site.active() == 0);
}

TEST_CASE_FIXTURE(Fixture, "proxy/site: routes get their pool, their number and their edits") {
  config::Config config;
  config.pools = {pool_named("one", 9001), pool_named("two", 9002)};
  config.routes = {route_to("api", 1), route_to("rest", 0), route_to("old", 0)};
  config.routes[0].request_headers.set = {{"X-Set", "a"}};
  config.routes[0].request_headers.add = {{"X-Add", "b"}};
  config.routes[0].request_headers.remove = {"X-Remove"};
  config.routes[0].response_headers.remove = {"Server"};
  config.routes[2].action = config::Route::Action::kRedirect;
  const auto snapshot = config::make_snapshot(std::move(config), 1);
  WorkerKit worker = kit();
  Site site(worker, snapshot, parts_of(*snapshot, names), names);

  REQUIRE(site.pools().size() == 2);
  CHECK(site.handler() == nullptr);
  CHECK(site.snapshot() == snapshot.get());
  CHECK(site.route(0).route == &snapshot->routes()[0]);
  CHECK(site.route(0).pool == site.pools()[1].get());
  CHECK(site.route(0).pool->name() == "two");
  CHECK(site.route(1).pool->name() == "one");
  CHECK(site.route(2).pool == nullptr);
  CHECK(names.name(site.route(0).id) == "api");
  CHECK(names.name(site.route(2).id) == "old");

  const http::FieldEdits& edits = site.route(0).request_edits;
  REQUIRE(edits.set.size() == 1);
  CHECK(edits.set[0] == std::pair<std::string, std::string>("x-set", "a"));
  REQUIRE(edits.add.size() == 1);
  CHECK(edits.add[0] == std::pair<std::string, std::string>("X-Add", "b"));
  CHECK(edits.remove == std::vector<std::string>{"x-remove"});
  CHECK(site.route(0).response_edits.remove == std::vector<std::string>{"server"});
  CHECK(site.route(1).request_edits.is_empty());
}

}  // namespace sluice::proxy
