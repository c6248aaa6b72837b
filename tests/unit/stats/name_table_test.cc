#include "sluice/stats/name_table.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

using namespace sluice::stats;

TEST_CASE("stats/name_table: a name keeps its number, none is 0") {
  NameTable names;
  CHECK(names.intern("") == NameTable::kNone);
  const uint16_t orders = names.intern("orders");
  const uint16_t endpoint = names.intern(std::string("orders/") + "127.0.0.1:9002");
  CHECK(orders != endpoint);
  CHECK(names.intern("orders") == orders);
  CHECK(names.name(orders) == "orders");
  CHECK(names.name(endpoint) == "orders/127.0.0.1:9002");
  CHECK(names.name(NameTable::kNone).empty());
  CHECK(names.size() == 3);
}

TEST_CASE("stats/name_table: a full table says other, and knows the names it has") {
  NameTable names;
  for (int i = 0; names.size() < NameTable::kOther; ++i) names.intern("n" + std::to_string(i));
  CHECK(names.intern("one more") == NameTable::kOther);
  CHECK(names.name(NameTable::kOther) == "other");
  CHECK(names.name(names.intern("n100")) == "n100");
}

TEST_CASE("stats/name_table: threads agree on numbers") {
  NameTable names;
  std::vector<std::vector<uint16_t>> seen(3);
  std::vector<std::thread> threads;
  for (auto& mine : seen) {
    threads.emplace_back([&names, &mine] {
      for (int i = 0; i < 500; ++i) {
        mine.push_back(names.intern("name" + std::to_string(i)));
        if (names.name(mine.back()).empty()) return;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(seen[0].size() == 500);
  CHECK(seen[0] == seen[1]);
  CHECK(seen[1] == seen[2]);
}
