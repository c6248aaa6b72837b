// What a worker puts into the shared tier and finds there, before a real server.
#include "sluice/cache/store_redis.h"

#include <algorithm>
#include <climits>

#include "shared_hosts.h"
#include "sluice/cache/entry_codec.h"

using namespace sluice;
using namespace sluice::cache;
using namespace sluice::cache::test;
using namespace sluice::cache::test::worker;

// Round trips -------------------------------------------------------------------------------------

TEST_CASE("cache/store_redis: what was put is found whole, of every size, and all keys expire") {
  Server server;
  Host host(server);
  int n = 0;
  for (const bool is_varied : {false, true}) {
    for (const size_t size : {size_t{0}, size_t{5}, size_t{4096}, size_t{4097}, kInlineBody,
                              kInlineBody + 1, size_t{1} << 20, size_t{8} << 20}) {
      Made made = is_varied ? with_vary("de", bytes_of(size)) : Made();
      made.body = bytes_of(size);
      made.tags = {"x", "y"};
      made.response.push_back({"ETag", "\"1\""});
      const Key key = host.key(fmt::format("/{}", ++n));
      const Ref<Entry> written = host.make(key, made);
      host.put(written);
      const Fields request(made.request);
      const SharedLook::Result found = host.find(key, request);
      REQUIRE(found.entry);
      CHECK(found.is_enough);
      CHECK(found.why == SharedMiss::none);
      CHECK(found.stamp == kStart);
      CHECK_FALSE(found.has_lease);
      const Entry& entry = *found.entry;
      CHECK(text_of(entry) == made.body);
      CHECK(entry.is_whole());
      CHECK(entry.head().raw == written->head().raw);
      CHECK(entry.key().text == key.text);
      CHECK(entry.key().url == key.url);
      CHECK(entry.times() == written->times());
      CHECK(is_same_vary(entry.vary(), written->vary()));
      CHECK(entry.tags().size() == 2);
      CHECK(entry.started() == host.cache.store.purges().last());
      CHECK(host.cache.store.put(found.entry) == PutResult::stored);
      host.cache.store.remove(entry);
      for (const std::string& name : server.keys()) {
        const std::string ttl = server.say({"PTTL", name});
        CHECK(std::stoll(ttl.substr(1)) > 60'000);
        CHECK(std::stoll(ttl.substr(1)) <= 90'000);
      }
      const size_t inline_limit = is_varied ? 4096 : kInlineBody;
      CHECK(server.keys().size() == 1 + (size > inline_limit ? chunk_count(size) : 0));
      CHECK(server.say({"DEL", server.name(key)}) == ":1");
      for (const std::string& name : server.keys()) server.say({"DEL", name});
    }
  }
  CHECK(host.count(Counter::cache_redis_hits) == 16);
  CHECK(host.count(Counter::cache_redis_writes) == 16);
  CHECK(host.counters.timing(stats::Timing::redis_seconds).snapshot().count() == 16);
}

TEST_CASE("cache/store_redis: flags and times come back; a soft mark is not written at all") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  EntrySpec spec = host.make(key)->spec();
  const Ref<Entry> base = host.make(key);
  spec = base->spec();
  spec.flags = EntryFlag::must_revalidate | EntryFlag::immutable;
  spec.times.stale_if_error = seconds(7);
  spec.times.initial_age = seconds(3);
  host.put(Entry::make(host.cache.store.budget(), spec));
  const auto found = host.find(key);
  REQUIRE(found.entry);
  CHECK(found.entry->times() == spec.times);
  CHECK(found.entry->has(EntryFlag::immutable));
  CHECK_FALSE(found.entry->has(EntryFlag::no_cache));

  const Key other = host.key("/stale");
  const Ref<Entry> marked = host.make(other);
  marked->mark_stale();
  host.store->put(marked, kStart, seconds(1));
  CHECK_FALSE(host.find(other).entry);
}

TEST_CASE("cache/store_redis: absent is a miss with the stamp to put with") {
  Server server;
  Host host(server);
  Looker looker;
  host.look(looker, host.key("/"));
  CHECK(looker.result.why == SharedMiss::absent);
  CHECK(looker.result.stamp == kStart);
  CHECK(looker.result.has_lease);
  CHECK(host.count(Counter::cache_redis_misses) == 1);
}

TEST_CASE("cache/store_redis: the variant for the request is chosen (RFC 9111 4.1)") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  for (const std::string language : {"de", "en", "fr"}) {
    host.put(host.make(key, with_vary(language, "in " + language)));
  }
  host.put(host.make(key, with_vary("it", bytes_of(5000))));
  Looker looker;
  host.look(looker, key, {{{"Accept-Language", "en"}}});
  CHECK(looker.body() == "in en");
  Looker large;
  host.look(large, key, {{{"Accept-Language", "it"}}});
  CHECK(large.body() == bytes_of(5000));
  CHECK(host.find(key, {{{"Accept-Language", "sv"}}}).why == SharedMiss::absent);
  CHECK(host.find(key).why == SharedMiss::absent);
}

TEST_CASE("cache/store_redis: a key has at most 32 variants, the newest among them") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  for (int i = 0; i < 40; ++i) host.put(host.make(key, with_vary(fmt::format("x-{}", i), "b")));
  CHECK(server.say({"HLEN", server.name(key)}) == ":32");
  CHECK(host.find(key, {{{"Accept-Language", "x-39"}}}).entry);

  for (int i = 0; i < 200; ++i) server.say({"HSET", server.name(key), std::to_string(i), "x"});
  host.put(host.make(key, with_vary("x-39", "b")));  // who put all that in?
  CHECK(server.say({"HLEN", server.name(key)}) == ":1");
}

TEST_CASE("cache/store_redis: the expiry of a key is that of its longest record") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  const auto ttl = [&] { return std::stoll(server.say({"PTTL", server.name(key)}).substr(1)); };
  host.put(host.make(key, with_vary("a", "b")), kStart, seconds(600));
  CHECK(ttl() > 600'000);
  host.put(host.make(key, with_vary("b", "b")), kStart, seconds(0));
  CHECK(ttl() > 600'000);
  server.say({"PERSIST", server.name(key)});
  host.put(host.make(key, with_vary("b", "b")), kStart, seconds(0));
  CHECK(ttl() > 0);
  CHECK(ttl() <= 60'000);
}

// Bodies in chunks --------------------------------------------------------------------------------

namespace {

// As a 304 makes it: another entry of the same body.
Ref<Entry> freshened(Host& host, const Ref<Entry>& entry, Duration freshness = seconds(60)) {
  EntrySpec spec = entry->spec();
  spec.times.response = wall_now();
  spec.times.freshness = freshness;
  return Entry::make(host.cache.store.budget(), spec);
}

}  // namespace

TEST_CASE("cache/store_redis: a 304 writes the record alone, its body lives on (RFC 9111 4.3.4)") {
  Server server;
  Host host(server), other(server);
  const Key key = host.key("/");
  Made made;
  made.body = bytes_of(600'000);
  const Ref<Entry> first = host.make(key, made);
  host.put(first);
  const auto chunks = [&] {
    std::vector<std::string> names = server.keys("*:b:*");
    std::sort(names.begin(), names.end());
    return names;
  };
  const std::vector<std::string> names = chunks();
  CHECK(names.size() == 3);
  const auto shortest_life = [&] {
    long long least = LLONG_MAX;
    for (const std::string& name : names) {
      least = std::min(least, std::stoll(server.say({"PTTL", name}).substr(1)));
    }
    return least;
  };
  CHECK(shortest_life() < 100'000);
  host.put(freshened(host, first, seconds(1000)));
  CHECK(chunks() == names);
  CHECK(shortest_life() > 1'000'000);
  host.put(freshened(host, first, seconds(1)));
  CHECK(shortest_life() > 1'000'000);  // another variant may count on it

  const Ref<Entry> read = other.find(key).entry;  // a host that has read it
  REQUIRE(read);
  other.put(freshened(other, read));
  CHECK(chunks() == names);
  const auto found = host.find(key);
  REQUIRE(found.entry);
  CHECK(text_of(*found.entry) == made.body);
}

TEST_CASE("cache/store_redis: a body of which a chunk is gone is written anew, and no rest left") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  Made made;
  made.body = bytes_of(600'000);
  const Ref<Entry> first = host.make(key, made);
  host.put(first);
  const std::vector<std::string> names = server.keys("*:b:*");
  REQUIRE(names.size() == 3);
  for (const bool is_broken : {false, true}) {
    const std::string name = server.keys("*:b:*")[1];
    server.say({"DEL", name});
    if (is_broken) server.say({"LPUSH", name, "x"});
    CHECK(host.find(key).why == (is_broken ? SharedMiss::broken : SharedMiss::absent));
    host.put(freshened(host, first));
    REQUIRE(host.find(key).entry);
    CHECK(text_of(*host.find(key).entry) == made.body);
    // A broken record has gone, and cannot say any more which chunks were its own.
    CHECK(server.keys("*:b:*").size() == (is_broken ? 5 : 3));
  }
  server.say({"FLUSHDB"});
  server.set_state();
  host.put(freshened(host, first));
  CHECK(server.keys("*:b:*").size() == 3);
  CHECK(host.find(key).entry);
}

TEST_CASE("cache/store_redis: the chunks of a record that is replaced or pushed out go with it") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  for (const size_t size : {size_t{600'000}, size_t{300'000}, size_t{600'000}, size_t{5}}) {
    Made made;
    made.body = bytes_of(size);
    host.put(host.make(key, made));
    CHECK(server.keys("*:b:*").size() == (size == 5 ? 0 : chunk_count(size)));
    CHECK(text_of(*host.find(key).entry) == made.body);
  }
  for (int i = 0; i < 40; ++i) {
    host.put(host.make(key, with_vary(fmt::format("x-{}", i), bytes_of(5000))));
  }
  CHECK(server.say({"HLEN", server.name(key)}) == ":32");
  const size_t left = server.keys("*:b:*").size();
  CHECK(left >= 31);  // the one that has no Vary may be among them
  CHECK(left <= 32);
}

TEST_CASE("cache/store_redis: a body that two variants share stays as long as one of them") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  const Ref<Entry> german = host.make(key, with_vary("de", bytes_of(5000)));
  const VaryField swiss{german->vary()[0].name, "de-ch", true};
  EntrySpec spec = german->spec();
  spec.vary = {&swiss, 1};  // a 304 has selected it for that request as well (RFC 9111 4.1)
  host.put(german);
  host.put(Entry::make(host.cache.store.budget(), spec));
  CHECK(server.keys("*:b:*").size() == 1);
  host.put(host.make(key, with_vary("de", "short")));
  CHECK(server.keys("*:b:*").size() == 1);
  CHECK(host.find(key, {{{"Accept-Language", "de-ch"}}}).entry);
  host.put(host.make(key, with_vary("de-ch", "short")));
  CHECK(server.keys("*:b:*").empty());
}

TEST_CASE("cache/store_redis: what stands in place of a record names no chunks to delete") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  Made made;
  made.body = bytes_of(300'000);
  std::string index;
  REQUIRE(encode_entry(*host.make(key, made), {kStart, seconds(30), 7}, index));
  const std::string text_end = index.substr(0, kRecordHeader + 4 + key.text.size());
  std::string long_key = index, long_body = index;
  long_key.replace(kRecordHeader, 4, "\xff\xff\xff\xff");
  long_body.replace(text_end.size() + 4, 8, std::string(8, '\xff'));
  const auto chunk = fmt::format("{}:b:{:016x}:0", server.name(key), 7);
  for (const std::string& record : {std::string(), index.substr(0, 8), index.substr(0, 48),
                                    text_end, long_key, long_body, index}) {
    server.say({"HSET", server.name(key), "-", record});
    server.say({"SET", chunk, "x"});
    host.put(host.make(key));
    CHECK(server.say({"EXISTS", chunk}) == (record == index ? ":0" : ":1"));
  }
  CHECK(host.count(Counter::cache_redis_skips_failed) == 0);
}

// What is there but will not do
// --------------------------------------------------------------------

TEST_CASE("cache/store_redis: another key of the same hash is a miss, and is left alone") {
  Server server;
  Host host(server);
  const Key key = host.key("/a"), other = host.key("/b");
  std::string record;
  REQUIRE(encode_entry(*host.make(other), {kStart, seconds(30)}, record));
  server.say({"HSET", server.name(key), "-", record});
  CHECK(host.find(key).why == SharedMiss::absent);
  CHECK(server.say({"HLEN", server.name(key)}) == ":1");
}

TEST_CASE("cache/store_redis: a broken record is deleted, one of another version is not") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  std::string record;
  REQUIRE(encode_entry(*host.make(key), {kStart, seconds(30)}, record));
  std::string broken = record, newer = record;
  broken.back() ^= 1;
  newer[4] = 9;
  server.say({"HSET", server.name(key), "-", broken, "f", newer, "g", "", "h", bytes_of(100'000)});
  CHECK(host.find(key).why == SharedMiss::broken);
  CHECK(server.say({"HKEYS", server.name(key)}) == "[\"f\"]");
  CHECK(host.find(key).why == SharedMiss::absent);
  CHECK(host.count(Counter::cache_redis_errors) == 1);

  server.say({"HSET", server.name(key), "-", broken, "i", record});
  CHECK(host.find(key).entry);  // beside a good one
  CHECK(server.say({"HEXISTS", server.name(key), "-"}) == ":0");
}

TEST_CASE("cache/store_redis: a body whose chunk is gone is a miss, a broken chunk deletes it") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  Made made;
  made.body = bytes_of(600'000);
  const auto put = [&] {
    server.say({"FLUSHDB"});
    server.set_state();
    host.put(host.make(key, made));
    REQUIRE(server.keys("*:b:*").size() == 3);
  };
  const auto first = [&] {
    std::vector<std::string> names = server.keys("*:b:*");
    return *std::min_element(names.begin(), names.end());
  };
  put();
  server.say({"DEL", first()});
  CHECK(host.find(key).why == SharedMiss::absent);
  CHECK(server.say({"HLEN", server.name(key)}) == ":1");
  for (int way = 0; way < 3; ++way) {
    put();
    const std::string name = first();
    if (way == 0) server.say({"SETRANGE", name, "1000", "x"});
    if (way == 1) server.say({"SET", name, ""});
    if (way == 2) server.say({"DEL", name});
    if (way == 2) server.say({"LPUSH", name, "x"});
    CHECK(host.find(key).why == SharedMiss::broken);
    CHECK(server.say({"EXISTS", server.name(key)}) == ":0");
  }
  const size_t used = host.cache.store.budget().used();
  CHECK(host.find(key).why == SharedMiss::absent);
  CHECK(host.cache.store.budget().used() == used);
}

TEST_CASE("cache/store_redis: a record past all use is absent, though its key lives on") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  EntrySpec spec;
  const Ref<Entry> base = host.make(key);
  for (const int age : {80, 100}) {  // fresh for 60 s, kept for 30 s
    spec = base->spec();
    spec.times.initial_age = seconds(age);
    const Ref<Entry> old = Entry::make(host.cache.store.budget(), spec);
    std::string record;
    REQUIRE(encode_entry(*old, {kStart, seconds(30)}, record));
    server.say({"HSET", server.name(key), "-", record});
    CHECK(host.find(key).why == (age == 80 ? SharedMiss::none : SharedMiss::absent));
    server.say({"DEL", server.name(key)});
    host.store->put(old, kStart, seconds(30));
    if (age == 80) REQUIRE(run_until(host.loop, [&] { return host.writes() == 1; }));
    CHECK(server.say({"DEL", server.name(key)}) == (age == 80 ? ":1" : ":0"));
  }
}

TEST_CASE(
    "cache/store_redis: an entry from a clock that is ahead ages from now on (RFC 9111 4.2.3)") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  for (const bool has_date : {false, true}) {
    for (const int hours : {1, 23, 25}) {
      const Ref<Entry> base = host.make(key);
      EntrySpec spec = base->spec();
      spec.times.response += std::chrono::hours(hours);
      spec.times.request = spec.times.response - seconds(2);
      spec.times.initial_age = seconds(3);
      if (!has_date) spec.times.date = spec.times.response;
      host.put(Entry::make(host.cache.store.budget(), spec));
      const WallTime before = wall_now();
      const auto found = host.find(key);
      const bool is_found = found.entry != nullptr;
      REQUIRE(is_found == (hours < 25));
      if (!is_found) continue;
      const EntryTimes& times = found.entry->times();
      CHECK(times.response >= before);
      CHECK(times.response <= wall_now());
      CHECK(times.response - times.request == seconds(2));
      CHECK(times.date == (has_date ? spec.times.date : times.response));
      CHECK(found.entry->age(times.response + seconds(5)) == seconds(8));
      CHECK(found.entry->times().freshness == seconds(60));
    }
  }
}

TEST_CASE("cache/store_redis: an entry that will not do is handed out, and asks for the lease") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  host.put(host.make(key));
  Looker looker;
  looker.would_do = [](const Entry& entry) { return entry.status() != 200; };
  host.look(looker, key);
  CHECK(looker.body() == "hello");
  CHECK_FALSE(looker.result.is_enough);
  CHECK(looker.result.why == SharedMiss::none);
  CHECK(looker.result.has_lease);
  CHECK(host.count(Counter::cache_redis_stale) == 1);
}

TEST_CASE("cache/store_redis: what the memory's budget refuses is no_room") {
  Server server;
  Host host(server);
  const Key key = host.key("/"), large = host.key("/large");
  Made made;
  made.body = bytes_of(1 << 20);
  host.put(host.make(large, made));
  host.put(host.make(key));
  const size_t limit = host.cache.store.limit();
  host.cache.store.set_limits(1, 1 << 20);
  CHECK(host.find(large).why == SharedMiss::no_room);
  CHECK(host.find(key).why == SharedMiss::no_room);
  host.cache.store.set_limits(limit, (1 << 20) - 1);
  CHECK(host.find(large).why == SharedMiss::no_room);
  CHECK(host.find(key).entry);
  host.cache.store.set_limits(limit, 1 << 20);
  CHECK(host.find(large).entry);
}

// Purges ------------------------------------------------------------------------------------------

TEST_CASE("cache/store_redis: a purge that the server has on record counts against what is older") {
  Server server;
  Host host(server);
  Made made;
  made.tags = {"x", "y"};
  const std::string tag = fmt::format("tag {:016x}", tag_hash("x"));
  int n = 0;
  SharedStamp stamp = kStart;
  for (const std::string what :
       {"url http://shop.example:80/", "prefix http://shop.example:80/", tag.c_str(), "all"}) {
    for (const std::string kind : {"hard ", "soft "}) {
      const std::string path = std::to_string(++n);
      const Key key = host.key("/" + path);
      const Ref<Entry> entry = host.make(key, made);
      host.put(entry, stamp);
      const bool is_url = what.starts_with("url");
      host.server().log.apply(order_of(kind + what + (is_url ? path : "")));
      server.say({"HINCRBY", "sluice:state", "purges", "1"});
      ++stamp.number;
      const auto found = host.find(key);
      CHECK(found.why == (kind == "hard " ? SharedMiss::purged : SharedMiss::none));
      if (found.entry) CHECK(found.entry->is_marked_stale());
      CHECK(found.stamp == stamp);
      host.put(entry, stamp);  // fetched since
      REQUIRE(host.find(key).entry);
      CHECK_FALSE(host.find(key).entry->is_marked_stale());
      host.server().log.apply(order_of("hard url http://shop.example:80/" + path + "/other"));
      server.say({"HINCRBY", "sluice:state", "purges", "1"});
      ++stamp.number;
      CHECK(host.find(key).entry);
    }
  }
}

TEST_CASE("cache/store_redis: a purge of our own that the server may not have yet counts as well") {
  Server server;
  Host host(server);
  Purges& purges = host.cache.store.purges();
  for (const std::string what : {"url http://shop.example:80/", "prefix http://", "all"}) {
    const Key key = host.key("/");
    const Ref<Entry> entry = host.make(key);
    EntrySpec spec = entry->spec();
    spec.started = purges.last();
    host.put(Entry::make(host.cache.store.budget(), spec));
    host.server().unsent_since = purges.last();
    CHECK(host.find(key).entry);
    note_purge(purges, order_of("soft " + what));
    const auto stale = host.find(key);
    REQUIRE(stale.entry);
    CHECK(stale.entry->is_marked_stale());
    CHECK(stale.entry->started() == purges.last());
    note_purge(purges, order_of("hard " + what));
    CHECK(host.find(key).why == SharedMiss::purged);
    host.server().unsent_since = SharedServer::kNone;  // that is the hub's word for it
    CHECK(host.find(key).entry);
  }
}

TEST_CASE(
    "cache/store_redis: what this process has not heard all of is gone; so is another epoch") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  host.put(host.make(key));
  CHECK(host.find(key).entry);
  server.say({"HSET", "sluice:state", "purges", "6"});
  const auto ahead = host.find(key);
  CHECK(ahead.why == SharedMiss::purged);
  CHECK(ahead.stamp == SharedStamp{77, 6});
  host.server().log.apply(order_of("hard url http://shop.example:80/other"));
  CHECK(host.find(key).entry);

  server.say({"HSET", "sluice:state", "epoch", "18446744073709551615", "purges", "0"});
  CHECK(host.find(key).why == SharedMiss::purged);
  host.server().log.begin({UINT64_MAX, 0});
  CHECK(host.find(key).why == SharedMiss::purged);
  host.put(host.make(key), {UINT64_MAX, 0});
  CHECK(host.find(key).entry);
  server.say({"HSET", "sluice:state", "purges", "9"});
  host.server().log.begin({UINT64_MAX, 9});  // some were missed
  CHECK(host.find(key).why == SharedMiss::purged);
}

TEST_CASE("cache/store_redis: a server without its state, or with garbage there, says nothing") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  host.put(host.make(key));
  const auto is_unknown = [&] {
    const auto found = host.find(key);
    return found.why == SharedMiss::absent && !found.stamp.is_known() && !found.has_lease;
  };
  server.say({"DEL", "sluice:state"});
  CHECK(is_unknown());
  server.say({"HSET", "sluice:state", "epoch", "77"});
  CHECK(is_unknown());
  for (const char* epoch : {"x", "0", "-1", "18446744073709551616", ""}) {
    server.say({"HSET", "sluice:state", "epoch", epoch, "purges", "5"});
    CHECK(is_unknown());
  }
  server.say({"HSET", "sluice:state", "epoch", "77", "purges", "five"});
  CHECK(is_unknown());
  server.say({"SET", "sluice:state", "x"});
  CHECK(is_unknown());
  server.say({"DEL", "sluice:state"});
  server.set_state();
  CHECK(host.find(key).entry);
}

TEST_CASE("cache/store_redis: what a purge has hit meanwhile is not written, nor without a stamp") {
  Server server;
  Host host(server);
  const Key key = host.key("/");
  const Ref<Entry> entry = host.make(key);
  host.store->put(entry, {}, seconds(30));
  Made made;
  made.body = bytes_of(kInlineBody + 1);
  const Ref<Entry> long_one = host.make(key, made);
  host.store->put(long_one, kStart, seconds(30));  // purged when its chunks are there
  host.cache.store.purges().purge_url(key.url, PurgeKind::soft);
  host.store->put(entry, kStart, seconds(30));
  CHECK(host.find(key).why == SharedMiss::absent);
  REQUIRE(run_until(host.loop, [&] { return server.keys("*:b:*").size() == 1; }));
  CHECK(server.say({"EXISTS", server.name(key)}) == ":0");
  CHECK(host.writes() == 0);
}
