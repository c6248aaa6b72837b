#include "src/cache/purge_follower.h"

#include <fmt/format.h>

#include "hosts.h"

namespace sluice::cache {
namespace {

using namespace test;
using Next = PurgeFollower::Next;
using stats::Counter;

const std::string kAll = "hard all";

struct Bed {
  Bed() : server(redis::Address{}), follower({loop, cache, server, counters, "test"}) {}

  // Purges by these numbers, of URLs that nobody has, from a server at `state`.
  PurgePage page(SharedStamp state, std::vector<uint64_t> numbers, bool has_more = false) const {
    PurgePage page{state, has_more, {}, 0};
    for (const uint64_t number : numbers) {
      page.purges.push_back({number, order_of(fmt::format("hard url {}/{}", kSite, number))});
    }
    return page;
  }
  Next look(const PurgePage& page) {
    const bool is_first = !follower.memory().is_known();
    follower.ask();
    const Next next = follower.on_page(page);
    if (is_first) at_contact = cache.store.purges().last();
    return next;
  }
  Next hear(SharedStamp stamp, bool is_writing = false) {
    return follower.on_message(fmt::format("{} {} hard all", stamp.epoch, stamp.number),
                               is_writing);
  }
  // One of ours, done here already.
  Next write(SharedStamp stamp) {
    PurgeOutbox outbox({});
    outbox.push(order_of(kAll), {}, cache.store.purges());
    return follower.on_written(stamp, outbox.hold(1, SIZE_MAX));
  }
  uint64_t flushes() const {
    return counters.get(Counter::cache_flushes_epoch) + counters.get(Counter::cache_flushes_gap) +
           counters.get(Counter::cache_flushes_contact);
  }
  // Since the first contact.
  uint64_t in_memory() const { return cache.store.purges().last() - at_contact; }

  loop::Loop loop;
  Cache cache{{}, "test", 1};
  stats::Counters counters;
  SharedServer server;
  PurgeFollower follower;
  uint64_t at_contact = 0;
};

TEST_CASE("cache/purge_follower: begins where the record does, and does not go by it in memory") {
  Bed bed;
  CHECK(bed.look(bed.page({7, 5}, {4, 5})) == Next::kNothing);
  CHECK(bed.server.log.now() == SharedStamp{7, 5});
  CHECK(bed.server.log.standing({7, 3}, {7, 5}, {}, kSite + "/4") == Standing::gone);
  CHECK(bed.server.log.standing({7, 3}, {7, 5}, {}, kSite + "/x") == Standing::good);
  CHECK(bed.server.log.standing({7, 2}, {7, 5}, {}, kSite + "/x") == Standing::gone);
  CHECK(bed.in_memory() == 0);
  CHECK(bed.flushes() == 0);
}

TEST_CASE("cache/purge_follower: the first contact empties memory, with the fills under way") {
  Bed bed;
  const uint64_t started = bed.cache.store.purges().last();
  SUBCASE("nothing is stored") {
    bed.look(bed.page({7, 5}, {4, 5}));
    CHECK(bed.flushes() == 0);
  }
  SUBCASE("something is") {
    Memory memory;
    REQUIRE(bed.cache.store.put(make_entry(bed.cache.store.budget(), memory.key("/a"))) ==
            PutResult::stored);
    bed.look(bed.page({7, 5}, {4, 5}));
    CHECK(bed.counters.get(Counter::cache_flushes_contact) == 1);
    CHECK(bed.cache.store.counters().entries == 0);
  }
  CHECK(bed.cache.store.purges().standing_of_fill(started, {}, kSite + "/a") == Standing::gone);
  bed.look(bed.page({7, 5}, {4, 5}));
  CHECK(bed.in_memory() == 0);
}

TEST_CASE("cache/purge_follower: applies the message that follows, and looks at any other") {
  Bed bed;
  CHECK(bed.hear({7, 1}) == Next::kLook);
  bed.look(bed.page({7, 5}, {}));
  CHECK(bed.hear({7, 5}) == Next::kNothing);
  CHECK(bed.in_memory() == 0);
  CHECK(bed.hear({7, 6}) == Next::kNothing);
  CHECK(bed.in_memory() == 1);
  CHECK(bed.hear({7, 8}) == Next::kLook);
  CHECK(bed.hear({8, 7}) == Next::kLook);
  CHECK(bed.in_memory() == 1);
  CHECK(bed.server.log.now() == SharedStamp{7, 6});
}

TEST_CASE("cache/purge_follower: a page that messages have overtaken is no gap") {
  Bed bed;
  bed.look(bed.page({7, 0}, {}));
  bed.follower.ask();
  for (uint64_t n = 1; n <= 3; ++n) bed.hear({7, n});
  CHECK(bed.follower.on_page(bed.page({7, 4}, {1, 2}, true)) == Next::kLook);
  CHECK(bed.follower.state() == PurgeFollower::State::kBehind);
  CHECK(bed.look(bed.page({7, 4}, {4})) == Next::kNothing);
  CHECK(bed.in_memory() == 4);
  CHECK(bed.flushes() == 0);
}

TEST_CASE("cache/purge_follower: pages that lead nowhere end in a gap") {
  Bed bed;
  bed.look(bed.page({7, 0}, {}));
  CHECK(bed.look(bed.page({7, 4}, {}, true)) == Next::kNothing);
  CHECK(bed.server.log.now() == SharedStamp{7, 4});
  CHECK(bed.counters.get(Counter::cache_flushes_gap) == 1);
}

TEST_CASE("cache/purge_follower: several gaps of one look are one flush") {
  Bed bed;
  bed.look(bed.page({7, 0}, {}));
  CHECK(bed.look(bed.page({7, 9}, {2, 5, 6})) == Next::kNothing);
  CHECK(bed.server.log.now() == SharedStamp{7, 9});
  CHECK(bed.flushes() == 1);
  CHECK(bed.in_memory() == 1);
}

TEST_CASE("cache/purge_follower: a purge of ours goes into the log, and not again into memory") {
  Bed bed;
  bed.look(bed.page({7, 0}, {}));
  SUBCASE("when its number is the next") {
    CHECK(bed.hear({7, 1}, true) == Next::kNothing);
    CHECK(bed.write({7, 1}) == Next::kNothing);
    CHECK_FALSE(bed.follower.has_missed());
    CHECK(bed.in_memory() == 0);
  }
  SUBCASE("when one of another host came before it") {
    CHECK(bed.hear({7, 1}, true) == Next::kNothing);
    CHECK(bed.hear({7, 2}, true) == Next::kNothing);
    CHECK(bed.write({7, 2}) == Next::kLook);
    CHECK(bed.follower.has_missed());
    CHECK(bed.look(bed.page({7, 2}, {1, 2})) == Next::kNothing);
    CHECK(bed.in_memory() == 1);
  }
  SUBCASE("when one of another host came behind it") {
    CHECK(bed.hear({7, 2}, true) == Next::kNothing);
    CHECK(bed.write({7, 1}) == Next::kNothing);
    CHECK(bed.follower.has_missed());
    CHECK_FALSE(bed.follower.has_missed());
    CHECK(bed.look(bed.page({7, 2}, {2})) == Next::kNothing);
    CHECK(bed.in_memory() == 1);
  }
  SUBCASE("when it began an epoch") {
    CHECK(bed.write({8, 1}) == Next::kLook);
    CHECK(bed.look(bed.page({8, 1}, {1})) == Next::kNothing);
    CHECK(bed.flushes() == 1);
    CHECK(bed.in_memory() == 1);
  }
  CHECK(bed.follower.known() == bed.server.log.now());
  CHECK(bed.follower.memory() == bed.follower.known());
}

TEST_CASE("cache/purge_follower: goes on from where another has left the memory tier") {
  Bed bed;
  bed.follower.carry_on_from({7, 3});
  SUBCASE("purges only what is new to it") {
    bed.look(bed.page({7, 5}, {2, 3, 4, 5}));
    CHECK(bed.flushes() == 0);
    CHECK(bed.in_memory() == 2);
  }
  SUBCASE("what the record does not reach is missed") {
    bed.look(bed.page({7, 6}, {5, 6}));
    CHECK(bed.counters.get(Counter::cache_flushes_gap) == 1);
    CHECK(bed.in_memory() == 1);
  }
  SUBCASE("another epoch is one that it has missed") {
    bed.look(bed.page({8, 5}, {4, 5}));
    CHECK(bed.counters.get(Counter::cache_flushes_epoch) == 1);
    CHECK(bed.in_memory() == 1);
  }
}

TEST_CASE("cache/purge_follower: out of sight nothing is used, and memory stays where it is") {
  Bed bed;
  bed.look(bed.page({7, 5}, {4, 5}));
  bed.follower.lose_sight();
  CHECK_FALSE(bed.server.log.now().is_known());
  CHECK(bed.follower.memory() == SharedStamp{7, 5});
  bed.look(bed.page({7, 6}, {4, 5, 6}));
  CHECK(bed.server.log.now() == SharedStamp{7, 6});
  CHECK(bed.in_memory() == 1);
  CHECK(bed.flushes() == 0);
}

}  // namespace
}  // namespace sluice::cache
