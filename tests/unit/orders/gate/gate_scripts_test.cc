// The gate's scripts, each against a real Redis.
#include <algorithm>

#include "gate_support.h"

using namespace sluice;
using namespace sluice::orders;
using namespace sluice::orders::test;
using Words = std::vector<std::string>;

namespace {
const std::string kStock = std::string(kGateName) + ":stock";
}

TEST_CASE("orders/gate/scripts: an order is reserved as a whole or not at all") {
  GateRedis gate;
  CHECK(gate.reserve("k1", {"p1", "1"}) == Words{"closed"});
  gate.build({"p1", "3", "p2", "1"});
  CHECK(gate.reserve("k1", {"p1", "2", "p2", "1"}) == Words{"reserved", gate.epoch, "0", "0"});
  CHECK(gate.left("p1") == "1");
  CHECK(gate.left("p2") == "0");
  const Words refused = gate.reserve("k2", {"p1", "1", "p2", "1"});
  CHECK(Words(refused.begin(), refused.begin() + 4) == Words{"sold_out", gate.epoch, "p2", "0"});
  CHECK(gate.left("p1") == "1");
  CHECK(gate.reserve("k3", {"p1", "1", "p9", "1"}) == Words{"unknown", gate.epoch, "p9"});
  CHECK(gate.left("p1") == "1");
}

TEST_CASE("orders/gate/scripts: one key reserves once, and stays known once it has an order") {
  GateRedis gate;
  gate.build({"p1", "5"});
  CHECK(gate.reserve("k1", {"p1", "2"})[0] == "reserved");
  CHECK(gate.reserve("k1", {"p1", "2"})[0] == "known");
  CHECK(gate.settle("k1", "accepted", {"p1", "2"}) == "settled");
  CHECK(gate.settle("k1", "accepted", {"p1", "2"}) == "nothing");
  CHECK(gate.settle("k1", "refused") == "nothing");  // confirmed is confirmed
  CHECK(gate.reserve("k1", {"p1", "2"})[0] == "known");
  CHECK(gate.left("p1") == "3");
}

TEST_CASE("orders/gate/scripts: a reservation is given back once, and its key is free again") {
  GateRedis gate;
  gate.build({"p1", "5"});
  CHECK(gate.reserve("k1", {"p1", "2"})[0] == "reserved");
  CHECK(gate.settle("k1", "refused") == "settled");
  CHECK(gate.settle("k1", "refused") == "nothing");
  CHECK(gate.left("p1") == "5");
  CHECK(gate.reserve("k1", {"p1", "5"})[0] == "reserved");
  // The database knew the key: units back, the key stays known.
  CHECK(gate.settle("k1", "replayed") == "settled");
  CHECK(gate.left("p1") == "5");
  CHECK(gate.reserve("k1", {"p1", "5"})[0] == "known");
}

TEST_CASE("orders/gate/scripts: an order past the gate is charged once, and only to its epoch") {
  GateRedis gate;
  gate.build({"p1", "5"});
  CHECK(gate.settle("k1", "accepted", {"p1", "2"}) == "charged");
  CHECK(gate.settle("k1", "accepted", {"p1", "2"}) == "nothing");
  CHECK(gate.left("p1") == "3");
  CHECK(gate.settle("k2", "accepted", {"p1", "9"}) == "charged");
  CHECK(gate.left("p1") == "0");
  gate.epoch = "1";
  CHECK(gate.settle("k3", "accepted", {"p1", "1"}) == "nothing");
  CHECK(gate.reserve("k3", {"p1", "1"})[0] == "known");
}

TEST_CASE("orders/gate/scripts: a user's limit counts what is held and sold, not what came back") {
  GateRedis gate;
  gate.build({"p1", "9"});
  CHECK(gate.reserve("k1", {"p1", "1"}, "2")[0] == "reserved");
  CHECK(gate.reserve("k2", {"p1", "1"}, "2")[0] == "reserved");
  CHECK(gate.reserve("k3", {"p1", "1"}, "2") == Words{"user_limit", gate.epoch});
  CHECK(gate.settle("k1", "refused") == "settled");
  CHECK(gate.reserve("k3", {"p1", "1"}, "2")[0] == "reserved");
  CHECK(gate.settle("k2", "accepted", {"p1", "1"}) == "settled");
  CHECK(gate.reserve("k4", {"p1", "1"}, "2")[0] == "user_limit");
  CHECK(gate.code(GateScript::raise, {"o2", "u1", "p1", "1"}) == "raised");
  CHECK(gate.reserve("k4", {"p1", "1"}, "2")[0] == "reserved");
}

TEST_CASE("orders/gate/scripts: units that come back are taken once an order") {
  GateRedis gate;
  gate.build({"p1", "1", "p2", "0"});
  CHECK(gate.code(GateScript::raise, {"o1", "u1", "p1", "2", "p2", "1"}) == "raised");
  CHECK(gate.code(GateScript::raise, {"o1", "u1", "p1", "2", "p2", "1"}) == "nothing");
  CHECK(gate.left("p1") == "3");
  CHECK(gate.left("p2") == "1");
}

TEST_CASE("orders/gate/scripts: a gate with too much is lowered, unless units came back since") {
  GateRedis gate;
  gate.build({"p1", "5"});
  CHECK(gate.code(GateScript::lower, {"p1", "2", "0", gate.epoch}) == "lowered");
  CHECK(gate.left("p1") == "2");
  CHECK(gate.code(GateScript::lower, {"p1", "3", "0", gate.epoch}) == "nothing");
  CHECK(gate.code(GateScript::lower, {"p1", "0", "0", "1"}) == "nothing");  // another epoch
  CHECK(gate.code(GateScript::raise, {"o1", "", "p1", "1"}) == "raised");
  CHECK(gate.code(GateScript::lower, {"p1", "0", "0", gate.epoch}) == "nothing");
  CHECK(gate.left("p1") == "3");
}

TEST_CASE("orders/gate/scripts: a refusal brings the keys that became known") {
  GateRedis gate;
  gate.build({"p1", "2"});
  gate.reserve("k1", {"p1", "1"});
  gate.reserve("k2", {"p1", "1"});
  const Words first = gate.reserve("k3", {"p1", "1"});
  REQUIRE(first.size() == 8);
  CHECK(first[5] == "0");
  CHECK(Words(first.begin() + 6, first.end()) == Words{"k1", "k2"});
  const Words next =
      gate.ask(GateScript::reserve, {"k4", "u1", "0", "1000", "a", first[4], "p1", "1"});
  CHECK(next.size() == 6);
  CHECK(next[4] == first[4]);
}

TEST_CASE(
    "orders/gate/scripts: what is overdue is found until it is settled, by two sweepers once") {
  GateRedis gate;
  gate.build({"p1", "2"});
  gate.reserve("k1", {"p1", "1"}, "0", "0");
  gate.reserve("k2", {"p1", "1"});
  CHECK(gate.ask(GateScript::expired, {"9"}) == Words{"expired", "k1"});
  CHECK(gate.ask(GateScript::expired, {"9"}) == Words{"expired", "k1"});
  CHECK(gate.settle("k1", "refused") == "settled");
  CHECK(gate.settle("k1", "refused") == "nothing");
  CHECK(gate.ask(GateScript::expired, {"9"}) == Words{"expired"});
  CHECK(gate.left("p1") == "1");
  // Its time was lost, not the reservation.
  gate.redis.ask({"DEL", std::string(kGateName) + ":expiry"});
  CHECK(gate.ask(GateScript::expired, {"9"}) == Words{"expired", "k2"});
}

TEST_CASE("orders/gate/scripts: one builds at a time, and what comes late builds nothing") {
  GateRedis gate;
  CHECK(gate.code(GateScript::begin, {"a#1", "60000", "", "a"}) == "begun");
  CHECK(gate.code(GateScript::begin, {"b#1", "60000", "", "b"}) == "locked");
  CHECK(gate.code(GateScript::begin, {"a#2", "60000", "", "a"}) == "begun");  // it begins anew
  CHECK(gate.code(GateScript::learn, {"a#1", "60000", "k1"}) == "lost");
  CHECK(gate.code(GateScript::install, {"a#1", "1", "p1", "9"}) == "lost");
  CHECK(gate.code(GateScript::learn, {"a#2", "60000", "k1"}) == "learned");
  // Units that come back while the database is read are not lost.
  CHECK(gate.code(GateScript::raise, {"o1", "", "p1", "2"}) == "raised");
  const Words opened = gate.ask(GateScript::install, {"a#2", "1", "p1", "9"});
  CHECK(opened[0] == "open");
  CHECK(gate.left("p1") == "11");
  CHECK(gate.reserve("k1", {"p1", "1"})[0] == "known");
  CHECK(gate.ask(GateScript::begin, {"b#1", "60000", "", "b"}) == Words{"open", opened[1]});
  CHECK(gate.ask(GateScript::look, {}) == Words{"open", opened[1]});
}

TEST_CASE("orders/gate/scripts: a gate built anew keeps open reservations out of the stock") {
  GateRedis gate;
  gate.build({"p1", "9"});
  gate.reserve("k1", {"p1", "2"});
  gate.reserve("k2", {"p1", "3"});
  gate.build({"p1", "9"}, {"k1", "k2", "gone"}, gate.epoch);
  CHECK(gate.left("p1") == "4");
  CHECK(gate.settle("k1", "refused") == "settled");
  CHECK(gate.left("p1") == "6");
}

TEST_CASE("orders/gate/scripts: nonsense in Redis is no stock") {
  GateRedis gate;
  gate.build({"p1", "9"});
  for (const char* value : {"x", "-1", "1.5", ""}) {
    gate.redis.ask({"HSET", kStock, "p1", value});
    CHECK(gate.reserve("k", {"p1", "1"}) == Words{"broken", gate.epoch});
  }
  gate.redis.ask({"DEL", kStock});
  CHECK(gate.reserve("k", {"p1", "1"})[0] == "broken");
  for (const char* word : {":stock", ":held", ":known", ":expiry", ":users", ""}) {
    CAPTURE(word);
    gate.redis.ask({"SET", std::string(kGateName) + word, "nonsense"});
    CHECK(gate.reserve("k", {"p1", "1"}, "5")[0] != "reserved");
    gate.build({"p1", "9"}, {}, gate.epoch);
    CHECK(gate.reserve(std::string("k") + word, {"p1", "1"}, "5")[0] == "reserved");
  }
  for (const char* word : {":held", ":known"}) {
    gate.redis.ask({"DEL", std::string(kGateName) + word});
    CHECK(gate.reserve("k", {"p1", "1"})[0] == "broken");
    gate.build({"p1", "9"}, {}, gate.epoch);
  }
}

TEST_CASE("orders/gate/scripts: a gate that was built on another server is closed") {
  GateRedis gate;
  gate.build({"p1", "9"});
  CHECK(gate.code(GateScript::look, {}) == "open");
  gate.redis.ask({"HSET", kGateName, "run", "0123456789"});
  CHECK(gate.code(GateScript::look, {}) == "closed");
  CHECK(gate.reserve("k1", {"p1", "1"})[0] == "closed");
}

TEST_CASE(
    "orders/gate/scripts: an entry ends a bound after its reading began, and never goes back") {
  GateRedis gate;
  const auto now = [&] { return gate.ask(GateScript::read_entry, {"o1"})[1]; };
  const auto fill = [&](const char* text, const char* version, const std::string& begun) {
    return gate.code(GateScript::fill_entry, {"o1", text, version, begun, "60000"});
  };
  const std::string begun = now();
  CHECK(fill("2 b", "2", begun) == "filled");
  CHECK(fill("1 a", "1", begun) == "older");
  CHECK(gate.ask(GateScript::read_entry, {"o1"})[2] == "2 b");
  CHECK(fill("3 c", "3", std::to_string(std::stoll(begun) - 60000)) == "late");
  CHECK(gate.redis.number({"PTTL", std::string(kGateName) + ":order:o1"}) <= 60000);
  CHECK(gate.ask(GateScript::forget_entry, {"o1", "2"})[0] == "nothing");
  CHECK(gate.ask(GateScript::forget_entry, {"o1", "3"})[0] == "forgotten");
  CHECK(gate.ask(GateScript::read_entry, {"o1"})[2] == "");
  gate.redis.ask({"LPUSH", std::string(kGateName) + ":order:o1", "x"});
  CHECK(gate.ask(GateScript::read_entry, {"o1"})[2] == "");
  CHECK(fill("1 a", "1", now()) == "filled");
}

TEST_CASE("orders/gate/scripts: the stock shown moves with orders and returns") {
  GateRedis gate;
  gate.build({"p1", "9", "p2", "9"});
  const std::string begun = gate.ask(GateScript::read_view, {""})[1];
  const auto stock = [&] { return gate.ask(GateScript::read_view, {"p1"}); };
  CHECK(gate.code(GateScript::fill_view,
                  {begun, "60000", "p1", "item1", "9", "p2", "item2", "9"}) == "filled");
  gate.reserve("k1", {"p1", "2"});
  CHECK(gate.settle("k1", "accepted", {"p1", "2"}) == "settled");
  CHECK(stock()[3] == "7");
  gate.ask(GateScript::raise, {"o1", "", "p1", "1"});
  CHECK(stock()[3] == "8");
  CHECK(gate.ask(GateScript::read_view, {""}).size() == 6);
  gate.redis.ask({"HSET", std::string(kGateName) + ":view:stock", "p1", "nonsense"});
  CHECK(stock().size() == 2);
  CHECK(gate.ask(GateScript::read_view, {""}).size() == 2);
}
