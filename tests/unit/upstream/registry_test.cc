// Endpoints by themselves, and what a reload keeps of them.
#include "sluice/upstream/registry.h"

#include "sluice/upstream/pool_shared.h"
#include "support.h"

namespace sluice::upstream {
namespace {

using namespace test;
using std::chrono::seconds;

config::Pool pool_of(const std::string& name, std::vector<config::Endpoint> endpoints) {
  config::Pool pool;
  pool.name = name;
  pool.endpoints = std::move(endpoints);
  return pool;
}

config::SnapshotPtr snapshot_of(std::vector<config::Pool> pools) {
  config::Config config;
  config.pools = std::move(pools);
  return config::make_snapshot(std::move(config), 1);
}

TEST_CASE("upstream/registry: a reload finds endpoints again by pool, name and address") {
  stats::NameTable names;
  Registry registry(2, names);
  auto first = registry.apply(*snapshot_of(
      {pool_of("p", {endpoint_config("a", 1), endpoint_config("b", 2)}), pool_of("q", {})}));
  first[0].endpoints[0]->set_healthy(false, monotonic_now());
  first[0].endpoints[0]->set_admin_state(AdminState::draining);
  auto second = registry.apply(
      *snapshot_of({pool_of("q", {endpoint_config("a", 1)}),
                    pool_of("p", {endpoint_config("b", 3), endpoint_config("a", 1)})}));
  CHECK(second[1].endpoints[1] == first[0].endpoints[0]);
  CHECK(second[1].endpoints[1]->state() == EndpointState::draining);
  CHECK_FALSE(second[1].endpoints[1]->is_healthy());
  CHECK(second[1].endpoints[0] != first[0].endpoints[1]);  // another address
  CHECK(second[0].endpoints[0] != first[0].endpoints[0]);  // another pool
  CHECK(second[1].shared == first[0].shared);
  CHECK(pool_name(*second[1].shared) == "p");

  auto retired = registry.take_retired();
  REQUIRE(retired.size() == 1);
  CHECK(retired[0] == first[0].endpoints[1]);
  CHECK(retired[0]->is_retired());
  CHECK(registry.take_retired().empty());
  CHECK(registry.pools().size() == 2);
}

TEST_CASE("upstream/registry: a weight set by people stays until the configured one changes") {
  stats::NameTable names;
  Registry registry(1, names);
  auto endpoint =
      registry.apply(*snapshot_of({pool_of("p", {endpoint_config("a", 1, 5)})}))[0].endpoints[0];
  CHECK(endpoint->weight() == 5);
  endpoint->set_weight(50);
  registry.apply(*snapshot_of({pool_of("p", {endpoint_config("a", 1, 5)})}));
  CHECK(endpoint->weight() == 50);
  registry.apply(*snapshot_of({pool_of("p", {endpoint_config("a", 1, 7)})}));
  CHECK(endpoint->weight() == 7);
}

TEST_CASE("upstream/registry: found by POOL/ENDPOINT, also with slashes in the endpoint's name") {
  stats::NameTable names;
  Registry registry(1, names);
  auto parts = registry.apply(*snapshot_of(
      {pool_of("p", {endpoint_config("unix:/run/a.sock"), endpoint_config("127.0.0.1:1")})}));
  CHECK(registry.find("p/unix:/run/a.sock") == parts[0].endpoints[0].get());
  CHECK(registry.find("p/127.0.0.1:1") == parts[0].endpoints[1].get());
  for (const char* wrong : {"p", "p/", "/", "q/127.0.0.1:1", "p/127.0.0.1:2", ""}) {
    CHECK(registry.find(wrong) == nullptr);
  }
}

TEST_CASE("upstream/registry: the state before the first probe is configured") {
  stats::NameTable names;
  Registry registry(1, names);
  config::Pool pool = pool_of("p", {endpoint_config("a")});
  pool.health.initial_up = false;
  CHECK_FALSE(registry.apply(*snapshot_of({pool}))[0].endpoints[0]->is_healthy());
  pool.name = "q";
  pool.health.type = config::Health::Type::kOff;
  CHECK(registry.apply(*snapshot_of({pool}))[0].endpoints[0]->is_healthy());
}

TEST_CASE("upstream/endpoint: states by what people asked for first, then by health") {
  Endpoint endpoint("p", endpoint_config("a"), 1, 1);
  CHECK(endpoint.state() == EndpointState::up);
  endpoint.eject_until(monotonic_now() + seconds(100));
  CHECK(endpoint.state() == EndpointState::down);
  endpoint.eject_until(TimePoint{});
  CHECK(endpoint.state() == EndpointState::up);
  endpoint.set_healthy(false, monotonic_now());
  CHECK(endpoint.state() == EndpointState::down);
  endpoint.set_admin_state(AdminState::disabled);
  CHECK(endpoint.state() == EndpointState::disabled);
  CHECK_FALSE(endpoint.may_be_tried());
  endpoint.set_admin_state(AdminState::draining);
  CHECK(to_string(endpoint.state()) == "draining");
}

TEST_CASE("upstream/endpoint: effective weight grows through slow start") {
  Endpoint endpoint("p", endpoint_config("a", 1, 4), 1, 1);
  const TimePoint now = monotonic_now();
  CHECK(endpoint.effective_weight(now, seconds(10)) == 1024);  // up from the start
  endpoint.set_healthy(false, now);
  endpoint.set_healthy(true, now);
  CHECK(endpoint.effective_weight(now, seconds(0)) == 1024);
  CHECK(endpoint.effective_weight(now, seconds(10)) == 51);
  CHECK(endpoint.effective_weight(now + seconds(5), seconds(10)) == 512);
  CHECK(endpoint.effective_weight(now + seconds(10), seconds(10)) == 1024);
}

TEST_CASE("upstream/endpoint: addresses are taken in turn, those that failed last") {
  auto configured = endpoint_config("a");
  configured.address.kind = config::EndpointAddress::Kind::kName;
  Endpoint endpoint("p", configured, 1, 1);
  CHECK(endpoint.addresses().empty());
  CHECK_FALSE(endpoint.next_address().is_set());
  CHECK(endpoint.is_resolved());  // not known yet
  std::vector<SocketAddress> three;
  for (uint16_t port : {1, 2, 3}) three.push_back(*SocketAddress::from_ip("127.0.0.1", port));
  endpoint.set_addresses(three);
  CHECK(endpoint.next_address() == three[0]);
  CHECK(endpoint.next_address() == three[1]);
  CHECK(endpoint.connect_order() == std::vector{three[2], three[0], three[1]});
  endpoint.set_address_up(three[0], false);
  CHECK(endpoint.connect_order() == std::vector{three[1], three[2], three[0]});
  endpoint.set_addresses({three[0], three[2]});  // what is known of an address stays
  for (int i = 0; i < 4; ++i) CHECK(endpoint.next_address() == three[2]);
  endpoint.set_addresses({});
  CHECK_FALSE(endpoint.is_resolved());
}

TEST_CASE("upstream/endpoint: a return from an ejection is noted once") {
  Endpoint endpoint("p", endpoint_config("a"), 1, 1);
  const TimePoint now = monotonic_now();
  CHECK_FALSE(endpoint.note_return(now));
  endpoint.eject_until(now + seconds(1));
  CHECK_FALSE(endpoint.note_return(now));
  CHECK(endpoint.note_return(now + seconds(1)));
  CHECK_FALSE(endpoint.note_return(now + seconds(1)));
}

}  // namespace
}  // namespace sluice::upstream
