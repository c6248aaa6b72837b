#include "sluice/orders/queue_embedded.h"

#include <deque>

#include <fmt/format.h>

#include "sluice/base/log.h"
#include "support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::run_until;

namespace {

// An outbox of which a test says what is in it.
class FakeStore final : public EventStore {
 public:
  explicit FakeStore(loop::Loop& loop) : loop_(loop) {}

  void take_unsent(size_t most, Duration, Answer<std::vector<TakenEvent>> answer) override {
    ++takes;
    most_asked = std::max(most_asked, most);
    if (error) return later([answer, error = error] { answer(error); });
    std::vector<TakenEvent> taken;
    while (!waiting.empty() && taken.size() < most) {
      taken.push_back({{waiting.front(), "o", 1, "order.accepted", "{}", {}, {}, {}}, 1});
      waiting.pop_front();
    }
    later([answer, taken] { answer(taken); });
  }
  void mark_sent(std::vector<std::string> ids, Answer<Ok> answer) override {
    ++marks;
    if (error) return later([answer, error = error] { answer(error); });
    marked.insert(marked.end(), ids.begin(), ids.end());
    later([answer] { answer(Ok{}); });
  }
  void give_back(std::vector<std::string> ids, Duration, Answer<Ok> answer) override {
    returned.insert(returned.end(), ids.begin(), ids.end());
    later([answer] { answer(Ok{}); });
  }
  void outbox_depth(Answer<OutboxDepth>) override { FAIL("depth"); }
  void recent_events(int64_t, size_t, Answer<std::vector<PlacedEvent>>) override { FAIL("recent"); }
  void apply(Event, Handling, Answer<Applied>) override { FAIL("apply"); }
  void park(Event, std::string, std::string, Answer<Ok>) override { FAIL("park"); }

  void fill(int count) {
    for (int i = 0; i < count; ++i) waiting.push_back(fmt::format("e{}", ++events));
  }

  std::deque<std::string> waiting;
  std::vector<std::string> marked, returned;
  Error error;
  size_t most_asked = 0;
  int takes = 0, marks = 0, events = 0;

 private:
  void later(std::function<void()> task) { loop_.post(std::move(task)); }
  loop::Loop& loop_;
};

struct Queue {
  explicit Queue(size_t prefetch = 8) : store(loop) {
    set_log_level(LogLevel::off);
    EmbeddedQueueOptions options;
    options.prefetch = prefetch;
    options.longest_nap = milliseconds(10);
    source = make_embedded_source(loop, store, options);
    source->start([this](Delivery delivery) { got.push_back(std::move(delivery)); });
  }
  ~Queue() { set_log_level(LogLevel::info); }
  // Some more turns, in which nothing may happen.
  void turns() {
    for (int i = 0; i < 10; ++i) loop.run_once(false);
  }
  void stop() {
    bool is_stopped = false;
    source->stop(seconds(20), [&] { is_stopped = true; });
    CHECK_FALSE(is_stopped);
    CHECK(run_until(loop, [&] { return is_stopped; }));
  }

  loop::Loop loop;
  FakeStore store;
  std::unique_ptr<EventSource> source;
  std::vector<Delivery> got;
};

}  // namespace

TEST_CASE("orders/queue_embedded: no more is held than the prefetch, until half is settled") {
  Queue queue;
  queue.store.fill(20);
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() == 8; }));
  queue.turns();
  CHECK(queue.got.size() == 8);
  for (size_t i = 0; i < 3; ++i) queue.source->ack(queue.got[i].tag);
  queue.turns();
  CHECK(queue.got.size() == 8);
  queue.source->ack(queue.got[3].tag);
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() >= 12; }));
  CHECK(queue.store.most_asked == 8);
  CHECK(queue.got[8].tag != queue.got[0].tag);
  // What is open goes back when it stops.
  queue.stop();
  CHECK(queue.store.marked == std::vector<std::string>{"e1", "e2", "e3", "e4"});
  CHECK(queue.store.returned.size() == queue.got.size() - 4);
}

TEST_CASE("orders/queue_embedded: acknowledgements at once share a write, and none is forgotten") {
  Queue queue(200);
  queue.store.fill(200);
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() == 200; }));
  queue.store.fill(50);
  for (const Delivery& delivery : std::vector<Delivery>(queue.got)) {
    queue.source->ack(delivery.tag);
    queue.source->ack(delivery.tag);  // settled already
  }
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() == 250; }));
  CHECK(run_until(queue.loop, [&] { return queue.store.marked.size() == 200; }));
  CHECK(queue.store.marks <= 3);
  queue.stop();
}

TEST_CASE("orders/queue_embedded: a database that fails is asked again, and then it is up") {
  Queue queue;
  queue.store.error = Error(Errc::kSystem, "no");
  REQUIRE(run_until(queue.loop, [&] { return queue.store.takes >= 3; }));
  CHECK_FALSE(queue.source->is_up());
  queue.store.error = {};
  queue.store.fill(1);
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() == 1; }));
  CHECK(queue.source->is_up());
  // Marking fails: the event comes again when its lease is over, others go on.
  queue.store.error = Error(Errc::kSystem, "no");
  queue.source->ack(queue.got[0].tag);
  REQUIRE(run_until(queue.loop, [&] { return queue.store.marks == 1; }));
  queue.store.error = {};
  queue.store.fill(1);
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() == 2; }));
  queue.source->ack(queue.got[1].tag);
  CHECK(run_until(queue.loop, [&] { return queue.store.marked.size() == 1; }));
  queue.stop();
}

TEST_CASE("orders/queue_embedded: destroyed with calls under way, nobody is answered") {
  Queue queue;
  queue.store.fill(3);
  REQUIRE(run_until(queue.loop, [&] { return queue.got.size() == 3; }));
  queue.source->ack(queue.got[0].tag);
  queue.source->retry(queue.got[1].tag, seconds(1));
  queue.store.fill(3);
  queue.source.reset();
  for (int i = 0; i < 10; ++i) queue.loop.run_once(false);
  CHECK(queue.got.size() == 3);
}
