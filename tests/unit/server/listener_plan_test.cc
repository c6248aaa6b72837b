#include "sluice/server/listener_plan.h"

#include <doctest/doctest.h>

namespace sluice::server {
namespace {

using Kind = ListenerStep::Kind;

ListenerKey tcp(std::string name, uint16_t port) {
  ListenerKey key{std::move(name), {}};
  key.bind.host = "127.0.0.1";
  key.bind.port = port;
  return key;
}

TEST_CASE("server/listener_plan: what a reload does with listeners") {
  struct Case {
    const char* what;
    std::vector<ListenerKey> have, wanted;
    std::vector<ListenerStep> steps;
    std::vector<size_t> drain;
  };
  const Case cases[] = {
      {"the start opens all",
       {},
       {tcp("a", 1), tcp("b", 2)},
       {{Kind::kOpen, 0}, {Kind::kOpen, 0}},
       {}},
      {"the same stays", {tcp("a", 1)}, {tcp("a", 1)}, {{Kind::kKeep, 0}}, {}},
      {"another order is no change",
       {tcp("a", 1), tcp("b", 2)},
       {tcp("b", 2), tcp("a", 1)},
       {{Kind::kKeep, 1}, {Kind::kKeep, 0}},
       {}},
      {"a new name on an old address keeps the descriptors",
       {tcp("a", 1)},
       {tcp("web", 1)},
       {{Kind::kReuse, 0}},
       {0}},
      {"an old name on a new address opens one",
       {tcp("a", 1)},
       {tcp("a", 2)},
       {{Kind::kOpen, 0}},
       {0}},
      {"names that swap addresses keep the descriptors of both",
       {tcp("a", 1), tcp("b", 2)},
       {tcp("a", 2), tcp("b", 1)},
       {{Kind::kReuse, 1}, {Kind::kReuse, 0}},
       {0, 1}},
      {"what is gone drains", {tcp("a", 1), tcp("b", 2)}, {tcp("b", 2)}, {{Kind::kKeep, 1}}, {0}},
      {"port 0 under its name is the same", {tcp("a", 0)}, {tcp("a", 0)}, {{Kind::kKeep, 0}}, {}},
      {"port 0 under another name is another port",
       {tcp("a", 0)},
       {tcp("b", 0)},
       {{Kind::kOpen, 0}},
       {0}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const ListenerPlan plan = plan_listeners(c.have, c.wanted);
    CHECK(plan.steps == c.steps);
    CHECK(plan.drain == c.drain);
  }
}

}  // namespace
}  // namespace sluice::server
