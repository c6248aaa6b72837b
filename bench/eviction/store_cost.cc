// Time of what a request does in the memory store: making the key, finding a hot entry
// by it, and storing new ones into a full store.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "sluice/base/arena.h"
#include "sluice/base/clock.h"
#include "sluice/base/random.h"
#include "sluice/cache/store_memory.h"

namespace {

using namespace sluice;
using namespace sluice::cache;

const HashSecret kSecret("bench");

Key key_of(uint64_t number, Arena& arena) {
  char target[64];
  std::snprintf(target, sizeof(target), "/products/%llu?page=1",
                static_cast<unsigned long long>(number));
  const KeyUrl url{"http", "shop.example:8080", arena.copy(target)};
  return *make_key(url, {}, {}, kSecret, arena);
}

bool store(MemoryStore& store, const Key& key, std::string_view bytes) {
  const http::Field fields[] = {{"Content-Type", "application/json", http::FieldId::kContentType},
                                {"Cache-Control", "max-age=60", http::FieldId::kCacheControl},
                                {"ETag", "\"abcdef\"", http::FieldId::kEtag}};
  const EntryPart part{0, Body::copy_of(store.budget(), bytes)};
  if (!part.body) return false;
  EntrySpec spec;
  spec.key = key;
  spec.status = 200;
  spec.reason = "OK";
  spec.fields = fields;
  spec.parts = {&part, 1};
  Ref<Entry> entry = Entry::make(store.budget(), spec);
  return entry && store.put(std::move(entry)) == PutResult::stored;
}

template <typename F>
void measure(const char* name, size_t times, F&& f) {
  const TimePoint begin = monotonic_now();
  for (size_t i = 0; i < times; ++i) f(i);
  const auto spent = static_cast<double>((monotonic_now() - begin).count());
  std::printf("%-38s %6.0f ns\n", name, spent / static_cast<double>(times));
}

}  // namespace

int main() {
  constexpr uint64_t kHot = 1000, kMany = 200'000;
  constexpr size_t kTimes = 5'000'000;
  const std::string body(130, 'x');
  ChunkPool pool;
  Arena keys(pool);
  MemoryStore memory({.size = 256 * 1024 * 1024});
  std::vector<Key> hot, many;
  for (uint64_t i = 0; i < kMany; ++i) many.push_back(key_of(i, keys));
  hot.assign(many.begin(), many.begin() + kHot);
  for (const Key& key : many) store(memory, key, body);

  const auto look_up = [&](const Key& key) {
    Variants found;
    memory.find(key, found);
    if (found.is_empty()) std::abort();
    found.all()[0]->touch();
  };
  measure("key", kTimes / 10, [&](size_t) {
    Arena arena(pool);
    const KeyUrl url{"http", "shop.example:8080", "/products/12345?page=1"};
    if (!make_key(url, {}, {}, kSecret, arena)) std::abort();
  });
  measure("find, one hot entry", kTimes, [&](size_t) { look_up(hot[0]); });
  {
    const std::jthread second([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) look_up(hot[0]);
    });
    measure("the same, which another thread wants", kTimes, [&](size_t) { look_up(hot[0]); });
  }
  measure("find, of 1000 hot entries", kTimes, [&](size_t i) { look_up(hot[i % kHot]); });
  Random random(1);
  measure("find, of 200000 at random", kTimes, [&](size_t) { look_up(many[random.below(kMany)]); });
  Arena fresh(pool);
  measure("key, entry, body and put, room", 100'000,
          [&](size_t i) { store(memory, key_of(1'000'000 + i, fresh), body); });
  memory.set_limits(64 * 1024 * 1024, 1024 * 1024);
  measure("key, entry, body and put, full", 1'000'000, [&](size_t i) {
    Arena arena(pool);
    store(memory, key_of(2'000'000 + i, arena), body);
  });
  const StoreCounters counters = memory.counters();
  std::printf("%llu entries in %llu bytes\n", static_cast<unsigned long long>(counters.entries),
              static_cast<unsigned long long>(counters.bytes));
  return 0;
}
