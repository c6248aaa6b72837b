// The store and a growing body under several threads at once; made for SAN=thread.
#include <atomic>
#include <string>
#include <thread>

#include "entries.h"
#include "sluice/base/random.h"
#include "sluice/cache/store_memory.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

TEST_CASE("cache/store_memory: find, put and purge from several threads") {
  MemoryStore store({.size = 4 * 1024 * 1024, .max_object = 100'000, .shards = 4});
  std::atomic<uint64_t> hits{0}, wrong{0}, left{4};
  // Each body says which key it is for, at every 16th byte.
  const auto work = [&](uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < 10'000; ++i) {
      Memory texts;
      const std::string name = std::to_string(random.below(1000));
      const Key key = texts.key("/" + name);
      Variants found;
      store.find(key, found);
      for (const Ref<Entry>& entry : found.all()) {
        entry->touch();
        ++hits;
        const std::string body = text_of(*entry);
        if (body.substr(0, name.size() + 1) != name + "|") ++wrong;
      }
      if (!found.is_empty() && i % 4 != 0) continue;
      Made made;
      made.body = name + "|" + std::string(random.below(20'000), 'x');
      made.started = store.purges().last();
      made.tags = {"t" + name};
      if (Ref<Entry> entry = make_entry(store.budget(), key, made)) store.put(std::move(entry));
    }
    --left;
  };
  const auto purge = [&] {
    Random random(99);
    while (left > 0) {
      Memory texts;
      const std::string name = std::to_string(random.below(1000));
      store.purge_tag(tag_hash("t" + name), PurgeKind::hard);
      store.purge_url(key_of_url("http://shop.example:80/" + name, kSecret, texts.arena),
                      PurgeKind::soft);
      if (random.below(200) == 0) store.purge_prefix("http://shop.example:80/9", PurgeKind::hard);
      if (random.below(2000) == 0) store.purge_all(PurgeKind::hard);
      std::this_thread::yield();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (uint64_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
    threads.emplace_back(purge);
  }
  CHECK(wrong == 0);
  CHECK(hits > 0);
  const StoreCounters counters = store.counters();
  CHECK(counters.bytes <= 4 * 1024 * 1024);
  CHECK(counters.evicted > 0);
  CHECK(counters.purged > 0);
}

TEST_CASE("cache/store_memory: after a purge returned nobody finds what was there before") {
  MemoryStore store({.size = 8 * 1024 * 1024, .max_object = 100'000, .shards = 4});
  std::atomic<uint64_t> version{1};  // what the endpoint would answer now
  std::atomic<uint64_t> purged{0};   // no older version may be found any more
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> stale{0}, found_some{0};
  const auto fill = [&] {
    while (!stop) {
      Memory texts;
      Made made;
      made.started = store.purges().last();
      made.body = std::to_string(version.load());
      made.tags = {"t"};
      if (Ref<Entry> entry = make_entry(store.budget(), texts.key("/"), made)) {
        store.put(std::move(entry));
      }
    }
  };
  const auto read = [&] {
    while (!stop) {
      Memory texts;
      const uint64_t oldest = purged.load();
      Variants found;
      store.find(texts.key("/"), found);
      for (const Ref<Entry>& entry : found.all()) {
        ++found_some;
        if (std::stoull(text_of(*entry)) < oldest) ++stale;
      }
    }
  };
  std::vector<std::jthread> threads;
  threads.emplace_back(fill);
  threads.emplace_back(fill);
  threads.emplace_back(read);
  // Until the readers have seen enough; each purge is a chance to be wrong.
  const TimePoint deadline = monotonic_now() + std::chrono::seconds(20);
  for (uint64_t i = 2; (i < 2000 || found_some < 1000) && monotonic_now() < deadline; ++i) {
    Memory texts;
    version = i;
    if (i % 2 == 0) {
      store.purge_tag(tag_hash("t"), PurgeKind::hard);
    } else {
      store.purge_url(key_of_url("http://shop.example:80/", kSecret, texts.arena), PurgeKind::hard);
    }
    purged = i;
    std::this_thread::yield();
  }
  stop = true;
  threads.clear();
  CHECK(stale == 0);
  CHECK(found_some > 0);
}

TEST_CASE("cache/body: several threads read while one appends") {
  MemoryBudget budget(1 << 30);
  for (const bool is_known : {true, false}) {
    constexpr size_t kSize = 2'000'000;
    const Ref<Body> body =
        Body::make(budget, is_known ? std::optional<uint64_t>(kSize) : std::nullopt);
    std::atomic<uint64_t> wrong{0}, ended{0};
    const auto read = [&](uint64_t from) {
      BodyReader reader(body, from);
      Chain chain;
      uint64_t at = from;
      while (true) {
        const Body::Progress progress = body->progress();
        reader.read(chain, 10'000);
        while (!chain.is_empty()) {
          const Slice slice = chain.pop_front();
          for (const char c : slice.view()) wrong += c != static_cast<char>(at++ % 251);
        }
        if (progress.state != Body::State::growing && at >= progress.size) break;
      }
      ended += at == kSize;
    };
    std::vector<std::jthread> threads;
    for (uint64_t i = 0; i < 3; ++i) threads.emplace_back(read, i * 1000);
    Random random(5);
    std::string piece;
    for (size_t at = 0; at < kSize; at += piece.size()) {
      piece.resize(std::min<size_t>(kSize - at, 1 + random.below(5000)));
      for (size_t i = 0; i < piece.size(); ++i) piece[i] = static_cast<char>((at + i) % 251);
      REQUIRE(body->append(piece));
    }
    REQUIRE(body->complete());
    threads.clear();
    CHECK(wrong == 0);
    CHECK(ended == 3);
  }
}
