#include "src/cache/purge_outbox.h"

#include <thread>

#include "hosts.h"

namespace sluice::cache {
namespace {

using namespace test;

struct Box {
  explicit Box(PurgeOutbox::Limits limits = {}) : outbox(limits), server(redis::Address{}) {
    outbox.bind(server);
  }
  // As the hub does: registered first, then done.
  void purge(const std::string& path) {
    const PurgeOrder order = order_of("hard url " + kSite + path);
    outbox.push(order, {}, purges);
    note_purge(purges, order);
  }
  std::string held(size_t most = 100, size_t bytes = SIZE_MAX) {
    std::string text;
    for (const PurgeOutbox::Item* item : outbox.hold(most, bytes)) {
      text += item->order.what == What::all ? "all " : item->order.url.substr(kSite.size()) + " ";
    }
    return text;
  }
  uint64_t since() const { return server.unsent_since.load(); }

  Purges purges;
  PurgeOutbox outbox;
  SharedServer server;
};

TEST_CASE("cache/purge_outbox: unsent_since is below the oldest purge that was not acknowledged") {
  Box box;
  note_purge(box.purges, {});  // of another host
  CHECK(box.since() == SharedServer::kNone);
  box.purge("/1");
  CHECK(box.since() == 1);
  box.purge("/2");
  note_purge(box.purges, {});
  box.purge("/3");
  CHECK(box.since() == 1);
  CHECK(box.held(2) == "/1 /2 ");
  CHECK(box.since() == 1);
  box.outbox.release();
  CHECK(box.since() == 4);
  CHECK(box.held() == "/3 ");
  box.purge("/4");
  box.outbox.release();
  CHECK(box.since() == 5);
  CHECK(box.held() == "/4 ");
  box.outbox.release();
  CHECK(box.since() == SharedServer::kNone);
}

TEST_CASE("cache/purge_outbox: what is let go is held again, in order") {
  Box box;
  for (const char* path : {"/1", "/2", "/3"}) box.purge(path);
  CHECK(box.held(2) == "/1 /2 ");
  box.outbox.let_go();
  CHECK(box.held(3) == "/1 /2 /3 ");
  CHECK(box.outbox.facts().waiting == 3);
  CHECK(box.outbox.facts().first == 0);
  box.outbox.release();
  CHECK(box.outbox.facts().waiting == 0);
  CHECK(box.outbox.facts().first == 3);
}

TEST_CASE("cache/purge_outbox: one purge goes however large it is") {
  Box box;
  box.purge("/" + std::string(1000, 'a'));
  box.purge("/2");
  CHECK(box.held(10, 500).size() == 1002);
  box.outbox.release();
  CHECK(box.held(10, 500) == "/2 ");
}

TEST_CASE("cache/purge_outbox: more than its limits becomes one purge of everything") {
  Box box({.orders = 3, .bytes = 4096});
  for (const char* path : {"/1", "/2", "/3"}) box.purge(path);
  CHECK(box.held(1) == "/1 ");
  box.purge("/4");
  CHECK(box.outbox.facts().waiting == 2);
  CHECK(box.outbox.facts().collapses == 1);
  CHECK(box.since() == 0);
  box.outbox.release();
  CHECK(box.since() == 1);
  box.purge("/5");
  CHECK(box.held() == "all /5 ");
  box.outbox.let_go();
  box.purge("/" + std::string(5000, 'a'));
  CHECK(box.held() == "all ");
  CHECK(box.outbox.facts().collapses == 2);
}

TEST_CASE("cache/purge_outbox: what waits already is not queued again") {
  Box box;
  for (int i = 0; i < 20'000; ++i) box.purge(i % 2 == 0 ? "/1" : "/2");
  CHECK(box.outbox.facts().waiting == 2);
  CHECK(box.outbox.facts().collapses == 0);
  CHECK(box.since() == 0);
  box.outbox.push(order_of("soft url " + kSite + "/1"), {}, box.purges);
  box.outbox.push(order_of("hard prefix " + kSite + "/1"), {}, box.purges);
  CHECK(box.held() == "/1 /2 /1 /1 ");
  box.outbox.release();
  CHECK(box.since() == SharedServer::kNone);
  box.purge("/1");
  CHECK(box.since() == 20'000);
  CHECK(box.held() == "/1 ");
}

TEST_CASE("cache/purge_outbox: what may have been sent already is queued again") {
  Box box;
  box.purge("/1");
  box.purge("/2");
  CHECK(box.held(1) == "/1 ");
  for (int i = 0; i < 3; ++i) box.purge("/1");
  for (int i = 0; i < 3; ++i) box.purge("/2");
  CHECK(box.outbox.facts().waiting == 3);
  SUBCASE("when it has come in") {
    box.outbox.release();
    box.purge("/1");
    CHECK(box.held() == "/2 /1 ");
  }
  SUBCASE("when it is to be sent again") {
    box.outbox.let_go();
    box.purge("/1");
    CHECK(box.held() == "/1 /2 /1 ");
  }
}

// The reader of purge_outbox.h, against purges that are acknowledged at once.
TEST_CASE("cache/purge_outbox: no reader misses a purge that has returned") {
  Box box;
  box.server.log.begin({7, 0});
  std::atomic<uint64_t> returned{0};  // purges
  std::atomic<bool> is_over{false};
  std::thread control([&] {
    while (!is_over.load()) {
      const auto items = box.outbox.hold(8, SIZE_MAX);
      for (const PurgeOutbox::Item* item : items) box.server.log.apply(item->order);
      box.outbox.release();
    }
  });
  std::thread purger([&] {
    for (uint64_t i = 1; i <= 2000; ++i) {
      box.purge("/a");
      returned.store(i);
    }
    is_over.store(true);
  });
  // An entry that was stored before them all, and is never purged from the server.
  uint64_t misjudged = 0;
  while (!is_over.load()) {
    const bool is_purged = returned.load() > 0;
    const uint64_t started = box.purges.last();
    const uint64_t since = box.server.unsent_since.load(std::memory_order_acquire);
    const SharedStamp state = box.server.log.now();
    Standing standing = box.server.log.standing({7, 0}, state, {}, kSite + "/a");
    if (since != SharedServer::kNone) {
      standing = std::max(standing, box.purges.standing_of_fill(since, {}, kSite + "/a"));
    }
    // Stored, it would be judged by `started`.
    standing = std::max(standing, box.purges.standing_of_fill(started, {}, kSite + "/a"));
    if (is_purged && standing != Standing::gone) ++misjudged;
  }
  control.join();
  purger.join();
  CHECK(misjudged == 0);
}

}  // namespace
}  // namespace sluice::cache
