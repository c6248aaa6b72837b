#include "sluice/base/log_ring.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>
#include <thread>

#include "sluice/base/random.h"

using namespace sluice;

namespace {

std::string take(LogRing& ring) {
  const LogRing::Spans spans = ring.peek();
  std::string text = std::string(spans.first).append(spans.second);
  ring.release(spans);
  return text;
}

}  // namespace

TEST_CASE("base/log_ring: records come out whole and in order") {
  LogRing ring(64);
  CHECK(ring.peek().is_empty());
  CHECK(ring.push("one\n"));
  CHECK(ring.push("two\n"));
  CHECK(take(ring) == "one\ntwo\n");
  CHECK(take(ring).empty());
}

TEST_CASE("base/log_ring: capacity is a power of two, a record at most half of it") {
  LogRing ring(100);
  CHECK(ring.capacity() == 128);
  CHECK(!ring.push(std::string(65, 'x')));
  CHECK(ring.dropped() == 1);
  CHECK(ring.push(std::string(64, 'x')));
  CHECK(ring.is_half_full());
}

TEST_CASE("base/log_ring: a full ring drops, counts, and goes on when released") {
  LogRing ring(64);
  for (int i = 0; i < 4; ++i) CHECK(ring.push(std::string(16, 'a')));
  CHECK(!ring.push("b"));
  CHECK(ring.dropped() == 1);
  CHECK(take(ring).size() == 64);
  CHECK(!ring.is_half_full());
  CHECK(ring.push("c"));
  CHECK(take(ring) == "c");
}

TEST_CASE(
    "base/log_ring: a record that does not fit before the end starts anew, as a second span") {
  LogRing ring(64);
  CHECK(ring.push(std::string(30, 'a')));
  CHECK(take(ring).size() == 30);
  CHECK(ring.push(std::string(20, 'b')));
  CHECK(ring.push(std::string(20, 'c')));  // 14 bytes are left before the end
  const LogRing::Spans spans = ring.peek();
  CHECK(spans.first == std::string(20, 'b'));
  CHECK(spans.second == std::string(20, 'c'));
  ring.release(spans);
  CHECK(ring.peek().is_empty());
}

TEST_CASE("base/log_ring: reserve and commit use less than was reserved, or nothing") {
  LogRing ring(64);
  char* room = ring.reserve(32);
  REQUIRE(room != nullptr);
  room[0] = 'x';
  ring.commit(1);
  REQUIRE(ring.reserve(32) != nullptr);
  ring.commit(0);
  CHECK(take(ring) == "x");
}

TEST_CASE("base/log_ring: a part is released at any byte, before and behind a wrap") {
  for (size_t part = 0; part <= 40; ++part) {
    CAPTURE(part);
    LogRing ring(64);
    ring.push(std::string(30, 'a'));
    take(ring);
    ring.push(std::string(20, 'b'));
    ring.push(std::string(20, 'c'));
    const LogRing::Spans spans = ring.peek();
    ring.release(spans, part);
    CHECK(take(ring) == (std::string(20, 'b') + std::string(20, 'c')).substr(part));
    CHECK(ring.push(std::string(32, 'd')));
    CHECK(take(ring) == std::string(32, 'd'));
  }
}

TEST_CASE("base/log_ring: any mix of sizes and releases agrees with a plain queue") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    LogRing ring(64);
    std::string model;
    uint64_t refused = 0;
    for (int step = 0; step < 300; ++step) {
      if (random.below(2) == 0) {
        const std::string record(1 + random.below(36), static_cast<char>('a' + random.below(26)));
        if (ring.push(record)) {
          model += record;
        } else {
          ++refused;
        }
        continue;
      }
      const LogRing::Spans spans = ring.peek();
      REQUIRE(std::string(spans.first).append(spans.second) == model);
      const size_t part = random.below(spans.size() + 1);
      ring.release(spans, part);
      model.erase(0, part);
    }
    CHECK(ring.dropped() == refused);
    ring.release(ring.peek());
    CHECK(ring.push(std::string(32, 'z')));  // an empty ring takes half its size wherever it stands
  }
}

TEST_CASE("base/log_ring: one producer and one consumer at once lose and mix nothing") {
  LogRing ring(256);
  constexpr uint64_t kRecords = 20'000;
  std::thread producer([&ring] {
    for (uint64_t i = 0; i < kRecords; ++i) {
      const std::string record = std::to_string(i) + std::string(i % 40, '.') + "\n";
      while (!ring.push(record)) std::this_thread::yield();
    }
  });
  uint64_t expected = 0;
  bool is_right = true;
  while (expected < kRecords && is_right) {
    const LogRing::Spans spans = ring.peek();
    if (spans.is_empty()) std::this_thread::yield();
    for (std::string_view span : {spans.first, spans.second}) {
      while (!span.empty()) {
        const size_t end = span.find('\n');
        const std::string record = std::to_string(expected) + std::string(expected % 40, '.');
        is_right = is_right && span.substr(0, end) == record;
        ++expected;
        span.remove_prefix(end + 1);
      }
    }
    ring.release(spans);
  }
  CHECK(is_right);
  CHECK(expected == kRecords);
  while (!is_right && ring.peek().is_empty() == false) ring.release(ring.peek());
  producer.join();
}
