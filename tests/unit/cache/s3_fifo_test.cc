#include "sluice/cache/s3_fifo.h"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <vector>

#include "sluice/base/hash.h"

using namespace sluice;
using namespace sluice::cache;

namespace {

struct Item : EvictionNode {
  int id = 0;
};

struct Order {
  S3Fifo fifo;
  std::vector<std::unique_ptr<Item>> items;

  Item& add(int id, size_t weight = 10) {
    items.push_back(std::make_unique<Item>());
    items.back()->id = id;
    fifo.insert(*items.back(), mix64(1, static_cast<uint64_t>(id)), weight);
    return *items.back();
  }
  int evict() {
    auto* item = static_cast<Item*>(fifo.evict());
    return item == nullptr ? -1 : item->id;
  }
};

}  // namespace

TEST_CASE("cache/s3_fifo: what nobody asked for goes in the order in which it came") {
  Order order;
  for (int i = 0; i < 5; ++i) order.add(i);
  CHECK(order.fifo.bytes() == 50);
  for (int i = 0; i < 5; ++i) CHECK(order.evict() == i);
  CHECK(order.evict() == -1);
  CHECK(order.fifo.bytes() == 0);
}

TEST_CASE("cache/s3_fifo: what was asked for stays while a scan passes by") {
  Order order;
  for (int i = 0; i < 20; ++i) order.add(i).touch();
  for (int i = 100; i < 103; ++i) order.add(i);
  for (int i = 103; i < 1100; ++i) {
    order.add(i);
    CHECK(order.evict() == i - 3);
  }
  CHECK(order.fifo.bytes() == 230);
}

TEST_CASE("cache/s3_fifo: in the main queue each use is one more turn, at most three") {
  Order order;
  Item& hot = order.add(0);
  hot.touch();
  CHECK(order.add(1).is_linked());
  CHECK(order.evict() == 1);  // 0 moved on to the main queue
  for (int i = 0; i < 9; ++i) hot.touch();
  for (int i = 10; i < 13; ++i) order.add(i).touch();
  for (int i = 20; i < 23; ++i) CHECK(order.add(i).is_linked());
  std::vector<int> out;
  for (int id = order.evict(); id != -1; id = order.evict()) out.push_back(id);
  CHECK(out == std::vector<int>{20, 21, 22, 10, 11, 12, 0});
}

TEST_CASE("cache/s3_fifo: what went out and soon comes back enters the main queue at once") {
  Order order;
  order.fifo.set_ghosts(64);
  for (int i = 0; i < 20; ++i) order.add(i).touch();
  for (int i = 50; i < 54; ++i) order.add(i);
  CHECK(order.evict() == 50);
  order.add(50);  // a ghost
  for (int i = 54; i < 100; ++i) {
    order.add(i);
    CHECK(order.evict() == i - 3);
  }
  CHECK(order.fifo.bytes() == 240);
}

TEST_CASE("cache/s3_fifo: remove takes bytes from the queue it is in") {
  Order order;
  Item& small = order.add(0, 7);
  Item& main = order.add(1, 9);
  main.touch();
  order.fifo.remove(small);
  CHECK(order.fifo.bytes() == 9);
  order.add(2, 5);
  CHECK(order.evict() == 2);
  order.fifo.remove(main);
  CHECK(order.fifo.bytes() == 0);
  CHECK(order.evict() == -1);
}

TEST_CASE("cache/s3_fifo: a queue full of the hottest does not keep one evict() for long") {
  Order order;
  for (int i = 0; i < 1000; ++i) {
    Item& item = order.add(i);
    for (int n = 0; n < 3; ++n) item.touch();
  }
  CHECK(order.evict() != -1);
  CHECK(order.fifo.bytes() == 9990);
  int touched = 0;  // how many still have all their uses: most were never looked at
  for (const auto& item : order.items) touched += item->uses() == 3;
  CHECK(touched > 800);
}
