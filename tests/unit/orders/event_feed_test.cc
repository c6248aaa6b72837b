#include "sluice/orders/page/event_feed.h"

#include <algorithm>

#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using test::run_until;

namespace {

// An outbox that a test fills, and counts who looks.
class FakeStore final : public EventStore {
 public:
  explicit FakeStore(loop::Loop& loop) : loop_(loop) {}
  void recent_events(int64_t after, size_t, Answer<std::vector<PlacedEvent>> answer) override {
    ++reads;
    std::vector<PlacedEvent> found;
    for (int64_t seq = after + 1; seq <= newest; ++seq) {
      found.push_back(
          {seq, {"e", "o" + std::to_string(seq), 1, "order.accepted", "{}", {}, {}, {}}});
    }
    loop_.post([answer, found, error = error] {
      if (error) return answer(error);
      answer(found);
    });
  }
  void take_unsent(size_t, Duration, Answer<std::vector<TakenEvent>>) override { FAIL("take"); }
  void mark_sent(std::vector<std::string>, Answer<Ok>) override { FAIL("mark"); }
  void give_back(std::vector<std::string>, Duration, Answer<Ok>) override { FAIL("give"); }
  void outbox_depth(Answer<OutboxDepth>) override { FAIL("depth"); }
  void apply(Event, Handling, Answer<Applied>) override { FAIL("apply"); }
  void park(Event, std::string, std::string, Answer<Ok>) override { FAIL("park"); }

  int64_t newest = 0;
  int reads = 0;
  Error error;

 private:
  loop::Loop& loop_;
};

// A client that may leave, or leave its bytes untaken.
class StreamCall final : public proxy::HandlerCall {
 public:
  StreamCall(loop::Loop& loop, proxy::HandlerRequest request)
      : loop_(loop), request_(std::move(request)) {}
  const proxy::HandlerRequest& request() const noexcept override { return request_; }
  loop::Loop& loop() noexcept override { return loop_; }
  void reply(proxy::HandlerReply) override { FAIL("reply"); }
  void begin(proxy::HandlerReply head) override { status = head.status; }
  void write(std::string_view bytes) override {
    CHECK_FALSE(is_ended);
    text += bytes;
  }
  void end() override {
    CHECK_FALSE(is_ended);
    is_ended = true;
  }
  size_t pending() const noexcept override { return untaken; }
  bool is_gone() const noexcept override { return gone; }
  void on_gone(std::function<void()>) override {}
  bool has(const std::string& part) const { return text.find(part) != std::string::npos; }

  int status = 0;
  std::string text;
  size_t untaken = 0;
  bool is_ended = false, gone = false;

 private:
  loop::Loop& loop_;
  proxy::HandlerRequest request_;
};

struct Feed {
  explicit Feed(FeedOptions options = quick()) : store(loop), feed(loop, store, options) {}
  static FeedOptions quick() {
    FeedOptions options;
    options.name = "a";
    options.look = milliseconds(2);
    options.longest_look = milliseconds(20);
    return options;
  }
  std::shared_ptr<StreamCall> add(const std::string& method = "GET",
                                  const std::string& path = "/events") {
    auto call = std::make_shared<StreamCall>(loop, test::request(method, path));
    if (!feed.add(call)) return nullptr;
    return call;
  }

  loop::Loop loop;
  FakeStore store;
  EventFeed feed;
};

}  // namespace

TEST_CASE("orders/event_feed: one read is for all viewers, and none for nobody") {
  Feed feed;
  const auto one = feed.add(), two = feed.add("GET", "/events?after=1");
  CHECK(one->status == 200);
  CHECK(one->text == "retry: 1000\nevent: hello\ndata: {\"backend\":\"a\"}\n\n");
  feed.store.newest = 2;
  REQUIRE(run_until(feed.loop, [&] { return two->has("\"o2\""); }));
  CHECK(one->has("id: 1\nevent: order\n"));
  CHECK_FALSE(two->has("id: 1\n"));
  const int reads = feed.store.reads;
  feed.store.newest = 3;
  REQUIRE(run_until(feed.loop, [&] { return one->has("\"o3\"") && two->has("\"o3\""); }));
  CHECK(feed.store.reads == reads + 1);
  one->gone = two->gone = true;
  REQUIRE(run_until(feed.loop, [&] { return feed.feed.viewers() == 0; }));
  const int last = feed.store.reads;
  for (int i = 0; i < 20; ++i) feed.loop.run_once(false);
  CHECK(feed.store.reads == last);
  // Who comes then gets what happened meanwhile.
  feed.store.newest = 4;
  const auto three = feed.add("GET", "/events?after=3");
  REQUIRE(run_until(feed.loop, [&] { return three->has("id: 4\n"); }));
  CHECK_FALSE(three->has("id: 3\n"));
}

TEST_CASE("orders/event_feed: a database that fails costs no viewer and no event") {
  Feed feed;
  feed.store.newest = 1;
  const auto viewer = feed.add();
  REQUIRE(run_until(feed.loop, [&] { return viewer->has("id: 1\n"); }));
  feed.store.error = Error(Errc::kSystem);
  const int reads = feed.store.reads;
  const auto late = feed.add();
  REQUIRE(run_until(feed.loop, [&] { return feed.store.reads > reads + 3; }));
  CHECK_FALSE(viewer->is_ended);
  feed.store.error = {};
  feed.store.newest = 2;
  REQUIRE(run_until(feed.loop, [&] { return viewer->has("id: 2\n") && late->has("id: 2\n"); }));
  CHECK(late->has("id: 1\n"));
}

TEST_CASE("orders/event_feed: who leaves too many bytes untaken is ended") {
  Feed feed;
  const auto good = feed.add(), lazy = feed.add();
  feed.store.newest = 1;
  REQUIRE(run_until(feed.loop, [&] { return lazy->has("id: 1\n"); }));
  lazy->untaken = 64 * 1024 + 1;
  feed.store.newest = 2;
  REQUIRE(run_until(feed.loop, [&] { return good->has("id: 2\n"); }));
  CHECK(lazy->is_ended);
  CHECK_FALSE(lazy->has("id: 2\n"));
  CHECK(feed.feed.viewers() == 1);
}

TEST_CASE("orders/event_feed: silence is filled with comments, also while the database fails") {
  FeedOptions options = Feed::quick();
  options.keep_alive = milliseconds(5);
  Feed feed(options);
  feed.store.error = Error(Errc::kSystem);
  const auto viewer = feed.add();
  REQUIRE(run_until(feed.loop, [&] { return viewer->text.ends_with(":\n\n:\n\n"); }));
}

TEST_CASE("orders/event_feed: so many viewers and no more; none after the end; HEAD is no viewer") {
  FeedOptions options = Feed::quick();
  options.most_viewers = 2;
  Feed feed(options);
  const auto one = feed.add(), two = feed.add();
  CHECK(feed.add() == nullptr);
  one->gone = true;
  const auto three = feed.add();
  REQUIRE(three != nullptr);
  three->gone = true;
  const auto head = feed.add("HEAD");
  REQUIRE(head != nullptr);
  CHECK(head->is_ended);
  CHECK(head->text == "");
  feed.feed.close();
  CHECK(two->is_ended);
  CHECK_FALSE(three->is_ended);  // it had left
  CHECK(feed.add() == nullptr);
  CHECK(feed.feed.viewers() == 0);
}
