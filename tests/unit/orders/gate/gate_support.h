// What the tests of the gate share: a Redis, a link to it, and calls of scripts that wait.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "src/orders/gate/gate_link.h"
#include "src/orders/gate/gate_scripts.h"
#include "tests/e2e/harness/redis.h"
#include "tests/unit/orders/support.h"

namespace sluice::orders::test {

inline redis::Address address_of(const e2e::Redis& redis) {
  return *redis::parse_address(redis.url());
}

struct GateRedis {
  GateRedis() : link(loop, address_of(redis)) {
    link.start();
    REQUIRE(run_until(loop, [&] { return link.is_up(); }));
  }

  std::vector<std::string> ask(GateScript script, std::vector<std::string> values) {
    std::optional<std::vector<std::string>> words;
    link.ask(script, std::move(values), std::chrono::seconds(20), [&](const GateReply& reply) {
      words = reply.fault ? std::vector<std::string>{"fault"} : reply.words;
    });
    REQUIRE(run_until(loop, [&] { return words.has_value(); }));
    return *words;
  }
  std::string code(GateScript script, std::vector<std::string> values) {
    return ask(script, std::move(values))[0];
  }

  // A gate with those units, as the builder makes it.
  void build(std::vector<std::string> product_and_units, std::vector<std::string> keys = {},
             const std::string& replaced = "") {
    REQUIRE(code(GateScript::begin, {"t#1", "5000", replaced, "t"}) == "begun");
    std::vector<std::string> values{"t#1", std::to_string(product_and_units.size() / 2)};
    values.insert(values.end(), product_and_units.begin(), product_and_units.end());
    values.insert(values.end(), keys.begin(), keys.end());
    const auto opened = ask(GateScript::install, values);
    REQUIRE(opened[0] == "open");
    epoch = opened[1];
  }
  std::vector<std::string> reserve(const std::string& key, std::vector<std::string> lines,
                                   const std::string& limit = "0",
                                   const std::string& life = "60000") {
    lines.insert(lines.begin(), {key, "u1", limit, life, "a", "0"});
    return ask(GateScript::reserve, std::move(lines));
  }
  std::string settle(const std::string& key, const std::string& verdict,
                     std::vector<std::string> lines = {}) {
    lines.insert(lines.begin(), {key, verdict, epoch, ""});
    return code(GateScript::settle, std::move(lines));
  }
  std::string left(const std::string& product) {
    return redis.ask({"HGET", std::string(kGateName) + ":stock", product});
  }

  e2e::Redis redis;
  loop::Loop loop;
  GateLink link;
  std::string epoch;
};

}  // namespace sluice::orders::test
