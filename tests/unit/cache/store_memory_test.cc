#include "sluice/cache/store_memory.h"

#include <malloc.h>

#include <cstdio>
#include <string>

#include "entries.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;

namespace {

struct Store {
  MemoryStore memory;
  Memory texts;

  explicit Store(size_t size = 16 * 1024 * 1024, size_t shards = 4)
      : memory({.size = size, .max_object = 100'000, .shards = shards}) {}

  PutResult put(const Key& key, Made made = {}) {
    Ref<Entry> entry = make_entry(memory.budget(), key, made);
    return entry ? memory.put(std::move(entry)) : PutResult::no_room;
  }
  PutResult put(std::string_view target, const Made& made = {}) {
    return put(texts.key(target), made);
  }
  // The bodies of all variants, a stale one with "~".
  std::string find(const Key& key) {
    Variants found;
    memory.find(key, found);
    std::string text;
    for (const Ref<Entry>& entry : found.all()) {
      text += (entry->is_marked_stale() ? "~" : "") + text_of(*entry) + " ";
      entry->touch();
    }
    return text;
  }
  std::string find(std::string_view target) { return find(texts.key(target)); }
  StoreCounters counters() const { return memory.counters(); }
};

Made body_of(std::string body) {
  Made made;
  made.body = std::move(body);
  return made;
}
Made variant(const std::string& language, int64_t date = 1000) {
  Made made;
  made.response = {{"Vary", "X-L"}};
  made.request = {{"x-l", language}};
  made.body = language;
  made.date = date;
  return made;
}

// Sanitizers keep what is freed, and are slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

// Resident bytes of this process, with what free() keeps given back.
size_t resident() {
  malloc_trim(0);
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  REQUIRE(file != nullptr);
  unsigned long pages = 0, resident_pages = 0;
  CHECK(std::fscanf(file, "%lu %lu", &pages, &resident_pages) == 2);
  std::fclose(file);
  return resident_pages * 4096;
}

}  // namespace

TEST_CASE("cache/store_memory: what is put is found under its key and no other") {
  Store store;
  CHECK(store.find("/a") == "");
  CHECK(store.put("/a", body_of("1")) == PutResult::stored);
  CHECK(store.put("/b", body_of("2")) == PutResult::stored);
  CHECK(store.find("/a") == "1 ");
  CHECK(store.find("/b") == "2 ");
  CHECK(store.find("/c") == "");
  CHECK(store.put("/a", body_of("3")) == PutResult::stored);
  CHECK(store.find("/a") == "3 ");
  CHECK(store.counters().entries == 2);
  CHECK(store.counters().replaced == 1);
}

TEST_CASE("cache/store_memory: a hash collision is a miss, not the other's response") {
  Store store;
  Key key = store.texts.key("/a");
  CHECK(store.put(key) == PutResult::stored);
  Key other = store.texts.key("/b");
  other.hash = key.hash;
  CHECK(store.find(other) == "");
  CHECK(store.put(other, body_of("other")) == PutResult::stored);
  CHECK(store.find(key) == "hello ");
  CHECK(store.find(other) == "other ");
}

TEST_CASE("cache/store_memory: variants stand beside each other; the oldest of too many goes") {
  Store store;
  const Key key = store.texts.key("/");
  for (size_t i = 0; i < kMostVariants; ++i) {
    CHECK(store.put(key, variant("l" + std::to_string(i), i == 7 ? 10 : 1000)) ==
          PutResult::stored);
  }
  Variants found;
  store.memory.find(key, found);
  CHECK(found.all().size() == kMostVariants);
  found.clear();
  CHECK(store.put(key, variant("l3")) == PutResult::stored);  // replaces itself
  CHECK(store.find(key).find("l7 ") != std::string::npos);
  CHECK(store.put(key, variant("new")) == PutResult::stored);
  CHECK(store.find(key).find("l7 ") == std::string::npos);
  CHECK(store.counters().entries == kMostVariants);
}

TEST_CASE("cache/store_memory: what another tier has replaces nothing newer (RFC 9111 4)") {
  Store store;
  const Key key = store.texts.key("/x");
  const auto find_in_tier = [&](std::string body, int64_t date, int64_t response) {
    const Ref<Entry> made = make_entry(store.memory.budget(), key, body_of(std::move(body)));
    EntrySpec spec = made->spec();
    spec.times.date = at_second(date);
    spec.times.response = at_second(response);
    return store.memory.put(Entry::make(store.memory.budget(), spec), PutKind::found);
  };
  CHECK(find_in_tier("first", 2000, 2000) == PutResult::stored);
  CHECK(find_in_tier("older", 1999, 2001) == PutResult::older);
  CHECK(find_in_tier("validated before", 2000, 1999) == PutResult::older);
  CHECK(store.find(key) == "first ");
  CHECK(find_in_tier("again", 2000, 2000) == PutResult::stored);
  CHECK(find_in_tier("validated", 2000, 2001) == PutResult::stored);
  CHECK(find_in_tier("newer", 2001, 2000) == PutResult::stored);
  CHECK(store.find(key) == "newer ");
  // Another variant has its own age; what an endpoint says now counts, whatever its clock says.
  REQUIRE(store.put(key, variant("l", 3000)) == PutResult::stored);
  CHECK(find_in_tier("newest", 2002, 2002) == PutResult::stored);
  CHECK(store.put(key, body_of("fetched")) == PutResult::stored);
  CHECK(store.find(key) == "fetched l ");
  CHECK(store.counters().entries == 2);
}

TEST_CASE("cache/store_memory: remove takes that very entry only") {
  Store store;
  const Key key = store.texts.key("/");
  const Ref<Entry> old = make_entry(store.memory.budget(), key);
  CHECK(store.memory.put(old) == PutResult::stored);
  CHECK(store.put(key, body_of("new")) == PutResult::stored);
  store.memory.remove(*old);
  CHECK(store.find(key) == "new ");
  Variants found;
  store.memory.find(key, found);
  store.memory.remove(*found.all()[0]);
  store.memory.remove(*found.all()[0]);
  CHECK(store.find(key) == "");
  CHECK(store.counters().entries == 0);
}

TEST_CASE("cache/store_memory: purges by URL, prefix, tag and all, hard and soft") {
  for (const PurgeKind kind : {PurgeKind::hard, PurgeKind::soft}) {
    Store store;
    const std::string after = kind == PurgeKind::hard ? "" : "~hello ";
    for (int i = 0; i < 100; ++i) store.put("/p/" + std::to_string(i));
    Made tagged;
    tagged.tags = {"t"};
    store.put("/q", tagged);
    store.put("/r");
    const Key url = key_of_url("http://shop.example:80/p/7", kSecret, store.texts.arena);
    CHECK(store.memory.purge_url(url, kind) == 1);
    CHECK(store.find("/p/7") == after);
    CHECK(store.find("/p/8") == "hello ");
    CHECK(store.memory.purge_prefix("http://shop.example:80/p/1", kind) == 11);
    CHECK(store.find("/p/1") == after);
    CHECK(store.find("/p/19") == after);
    CHECK(store.find("/p/2") == "hello ");
    store.memory.purge_tag(tag_hash("t"), kind);
    CHECK(store.find("/q") == after);
    CHECK(store.find("/r") == "hello ");
    CHECK(store.memory.purge_all(kind) > 80);
    CHECK(store.find("/r") == after);
    const uint64_t now = store.memory.purges().last();
    Made fresh;
    fresh.started = now;
    CHECK(store.put("/r", fresh) == PutResult::stored);
    CHECK(store.find("/r") == "hello ");
  }
}

TEST_CASE("cache/store_memory: a purge by URL reaches the keys that share it (RFC 9111 4.4)") {
  Store store;
  KeyRule rule;
  rule.cookies = {"user"};
  const Key ann = store.texts.key("/a", rule, {{{"cookie", "user=ann"}}});
  const Key bob = store.texts.key("/a", rule, {{{"cookie", "user=bob"}}});
  const Key other = store.texts.key("/b", rule, {{{"cookie", "user=bob"}}});
  for (const Key& key : {ann, bob, other}) CHECK(store.put(key) == PutResult::stored);
  store.memory.purge_url(key_of_url(ann.url, kSecret, store.texts.arena), PurgeKind::hard);
  CHECK(store.find(ann) == "");
  CHECK(store.find(bob) == "");
  CHECK(store.find(other) == "hello ");
}

TEST_CASE("cache/store_memory: to look at: all entries of a URL that no purge has hit") {
  Store store;
  const Key plain = store.texts.key("/a");
  CHECK(store.put(plain, variant("x")) == PutResult::stored);
  CHECK(store.put(plain, variant("y")) == PutResult::stored);
  store.put("/b");
  CHECK(store.memory.find_url(plain, 10).size() == 2);
  CHECK(store.memory.find_url(plain, 1).size() == 1);
  KeyRule rule;
  rule.cookies = {"user"};
  const Key ann = store.texts.key("/a", rule, {{{"cookie", "user=ann"}}});
  Made tagged;
  tagged.tags = {"t"};
  CHECK(store.put(ann, tagged) == PutResult::stored);
  for (int i = 0; i < 1000; ++i) store.put("/other/" + std::to_string(i));
  CHECK(store.memory.find_url(plain, 10).size() == 3);
  CHECK(store.memory.find_url(plain, 2).size() == 2);
  store.memory.purge_tag(tag_hash("t"), PurgeKind::hard);
  CHECK(store.memory.find_url(plain, 10).size() == 2);
  store.memory.purge_url(plain, PurgeKind::soft);
  for (const auto& entry : store.memory.find_url(plain, 10)) CHECK(entry->is_marked_stale());
}

TEST_CASE("cache/store_memory: a fill begun before a purge is not stored after it") {
  Store store;
  const uint64_t before = store.memory.purges().last();
  const auto put = [&store, before](std::string_view target) {
    Made made;
    made.started = before;
    made.tags = {"t"};
    return store.put(target, made);
  };
  const Key url = key_of_url("http://shop.example:80/a", kSecret, store.texts.arena);
  store.memory.purge_url(url, PurgeKind::hard);
  CHECK(put("/a") == PutResult::purged);
  CHECK(put("/b") == PutResult::stored);
  store.memory.purge_prefix("http://shop.example:80/b", PurgeKind::soft);
  CHECK(put("/bb") == PutResult::stored);
  CHECK(store.find("/bb") == "~hello ");
  store.memory.purge_tag(tag_hash("t"), PurgeKind::hard);
  CHECK(put("/c") == PutResult::purged);
  CHECK(store.find("/c") == "");
  CHECK(store.counters().refused == 2);
}

TEST_CASE("cache/store_memory: an object over the limit is refused") {
  Store store;
  CHECK(store.put("/a", body_of(std::string(100'000, 'x'))) == PutResult::stored);
  CHECK(store.put("/b", body_of(std::string(100'001, 'x'))) == PutResult::too_large);
  store.memory.set_limits(16 * 1024 * 1024, 10);
  CHECK(store.put("/c", body_of("12345678901")) == PutResult::too_large);
}

TEST_CASE("cache/store_memory: who needs room gets it from others, who is asked for stays") {
  Store store(4 * 1024 * 1024, 16);
  for (int i = 0; i < 50; ++i)
    store.put("/hot/" + std::to_string(i), body_of(std::string(1000, 'h')));
  size_t lost = 0;
  for (int i = 0; i < 20'000; ++i) {
    CHECK(store.put("/cold/" + std::to_string(i), body_of(std::string(1000, 'c'))) ==
          PutResult::stored);
    if (i % 100 != 0) continue;
    for (int hot = 0; hot < 50; ++hot) lost += store.find("/hot/" + std::to_string(hot)).empty();
  }
  CHECK(lost < 50);  // of 10000
  const StoreCounters counters = store.counters();
  CHECK(counters.bytes <= 4 * 1024 * 1024);
  CHECK(counters.entries > 1000);
  CHECK(counters.evicted + counters.entries == 20'050);
}

TEST_CASE("cache/store_memory: a fill pushes out what is stored; what is still sent cannot be") {
  Store store(4 * 1024 * 1024);
  for (int i = 0; i < 200; ++i)
    store.put("/" + std::to_string(i), body_of(std::string(20'000, 'x')));
  {
    const Ref<Body> filling = Body::make(store.memory.budget(), std::nullopt);
    REQUIRE(filling);
    const std::string bytes(2'500'000, 'f');
    CHECK(filling->append(bytes));
    CHECK(store.memory.budget().used() <= 4 * 1024 * 1024);
    filling->fail();
  }
  // Held by their readers, all of them: nothing can be freed, and the fill is told so.
  std::vector<Variants> held(200);
  for (int i = 0; i < 200; ++i) {
    store.put("/" + std::to_string(i), body_of(std::string(20'000, 'x')));
    store.memory.find(store.texts.key("/" + std::to_string(i)), held[static_cast<size_t>(i)]);
  }
  const Ref<Body> filling = Body::make(store.memory.budget(), std::nullopt);
  const std::string bytes(2'500'000, 'f');
  if (filling) {
    CHECK_FALSE(filling->append(bytes));
    filling->fail();
  }
  CHECK(store.memory.budget().used() <= 4 * 1024 * 1024);
}

TEST_CASE("cache/store_memory: one large object does not empty its shard") {
  Store store(8 * 1024 * 1024, 64);
  int puts = 0;
  while (store.counters().evicted == 0) {
    store.put("/" + std::to_string(puts++), body_of(std::string(1000, 'x')));
  }
  const uint64_t before = store.counters().entries;
  CHECK(store.put("/large", body_of(std::string(100'000, 'x'))) == PutResult::stored);
  size_t there = 0;
  for (int i = 0; i < puts; ++i) there += !store.find("/" + std::to_string(i)).empty();
  CHECK(there + 400 > before);
  CHECK(!store.find("/large").empty());
}

TEST_CASE("cache/store_memory: a lower limit takes effect at once") {
  Store store(8 * 1024 * 1024);
  for (int i = 0; i < 5000; ++i)
    store.put("/" + std::to_string(i), body_of(std::string(1000, 'x')));
  store.memory.set_limits(2 * 1024 * 1024, 100'000);
  CHECK(store.memory.budget().used() <= 2 * 1024 * 1024);
  CHECK(store.put("/new") == PutResult::stored);
}

TEST_CASE("cache/store_memory: a million URLs stay within the budget, as the system counts it") {
  constexpr size_t kBudget = 64 * 1024 * 1024;
  constexpr int kUrls = kIsSanitized ? 200'000 : 1'000'000;
  const size_t before = resident();
  size_t most = 0;
  {
    Store store(kBudget, 64);
    for (int i = 0; i < kUrls; ++i) {
      Memory texts;
      const std::string target = "/products/" + std::to_string(i);
      const PutResult result =
          store.put(texts.key(target), body_of(std::string(static_cast<size_t>(i % 1000), 'x')));
      if (result != PutResult::stored) FAIL_CHECK("not stored: ", target);
      if (i % 100'000 == 99'999) most = std::max(most, resident());
    }
    CHECK(store.counters().bytes <= kBudget);
    CHECK(store.counters().bytes > kBudget * 9 / 10);
    CHECK(store.counters().evicted > kUrls - 100'000);
  }
  if (kIsSanitized) return;
  CHECK(most - before <= kBudget + kBudget / 10);
  CHECK(most - before > kBudget / 2);
}

// RFC 9111 4.4: each request of an unsafe method invalidates its URL. Those of others stay, but for
// the few whose URLs share a slot with one of them.
TEST_CASE("cache/store: thousands of purges by URL do not empty a site of two pools") {
  Store store;
  KeyRule rule;
  rule.space = "pool-a";  // what any cached route has where there are two pools
  const auto kept = [&](size_t i) { return store.texts.key("/kept" + std::to_string(i), rule); };
  for (size_t i = 0; i < 200; ++i) REQUIRE(store.put(kept(i)) == PutResult::stored);
  for (size_t i = 0; i < 4097; ++i) {
    store.memory.purge_url(store.texts.key("/login?n=" + std::to_string(i)), PurgeKind::hard);
  }
  size_t found = 0;
  for (size_t i = 0; i < 200; ++i) found += store.find(kept(i)).empty() ? 0 : 1;
  CHECK(found > 130);  // of the smallest tier; 195 of one of 256 MiB
}
