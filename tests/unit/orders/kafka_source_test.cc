#include "sluice/orders/kafka/kafka_source.h"

#include <algorithm>
#include <set>

#include "kafka_support.h"

using namespace sluice;
using namespace sluice::orders;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::KafkaTopic;
using test::run_until;

namespace {

struct Source {
  Source(loop::Loop& its_loop, const KafkaTopic& topic, KafkaSourceOptions options = {})
      : loop(its_loop) {
    source = make_kafka_source(loop, topic.address, options);
    source->start([this](Delivery delivery) {
      CHECK_FALSE(is_inside);
      if (settles_at_once) return settle(delivery.tag);
      got.push_back(std::move(delivery));
    });
  }
  bool gets(size_t count) {
    return run_until(loop, [&] { return got.size() >= count; });
  }
  void settle(uint64_t tag) {
    ++settled;
    is_inside = true;
    source->ack(tag);
    is_inside = false;
  }
  void retry(const Delivery& delivery, Duration after) {
    is_inside = true;
    source->retry(delivery.tag, after);
    is_inside = false;
  }
  void stop(Duration patience = seconds(20)) {
    bool is_stopped = false;
    source->stop(patience, [&] { is_stopped = true; });
    CHECK_FALSE(is_stopped);
    CHECK(run_until(loop, [&] { return is_stopped; }));
  }

  loop::Loop& loop;
  std::unique_ptr<EventSource> source;
  std::vector<Delivery> got;
  int settled = 0;
  bool settles_at_once = false, is_inside = false;
};

std::string text_of(const std::string& id) { return R"({"event_id":")" + id + R"("})"; }

}  // namespace

TEST_CASE("orders/kafka_source: the offset goes up over settled events, the rest comes again") {
  const KafkaTopic topic;
  loop::Loop loop;
  for (int i = 0; i < 4; ++i) topic.put("key" + std::to_string(i), text_of(std::to_string(i)));
  {
    Source source(loop, topic);
    REQUIRE(source.gets(4));
    CHECK(source.source->is_up());
    CHECK(source.got[0].event.id == "0");
    CHECK(source.got[0].attempts == 1);
    source.settle(source.got[1].tag);
    source.settle(source.got[3].tag);
    source.settle(source.got[0].tag);
    source.settle(source.got[0].tag);  // settled already
    CHECK(run_until(loop, [&] { return topic.done() == 2; }));
    source.stop();
  }
  Source next(loop, topic);
  REQUIRE(next.gets(2));
  CHECK(next.got[0].event.id == "2");
  CHECK(next.got[1].event.id == "3");  // it was settled, but not all before it
  next.settle(next.got[0].tag);
  next.settle(next.got[1].tag);
  next.stop();  // writes off what was not yet
  CHECK(topic.done() == 4);
}

TEST_CASE("orders/kafka_source: retry keeps an order's events in order, others go on") {
  const KafkaTopic topic;
  loop::Loop loop;
  topic.put("a", text_of("a1"));
  topic.put("a", text_of("a2"));
  topic.put("b", text_of("b1"));
  topic.put("-", "no event");
  Source source(loop, topic);
  REQUIRE(source.gets(3));
  CHECK(source.got[0].event.id == "a1");
  CHECK(source.got[1].event.id == "b1");
  CHECK(event_problem(source.got[2].event) != "");
  const TimePoint before = monotonic_now();
  source.retry(source.got[0], milliseconds(300));
  source.settle(source.got[1].tag);
  source.settle(source.got[2].tag);
  REQUIRE(source.gets(4));
  CHECK(monotonic_now() - before >= milliseconds(300));
  CHECK(source.got[3].event.id == "a1");
  CHECK(source.got[3].attempts == 2);
  CHECK(source.got[3].tag != source.got[0].tag);
  source.settle(source.got[3].tag);
  REQUIRE(source.gets(5));
  CHECK(source.got[4].event.id == "a2");
  source.settle(source.got[4].tag);
  CHECK(run_until(loop, [&] { return topic.done() == 4; }));
  source.stop();
}

TEST_CASE("orders/kafka_source: no more is held than the prefetch, and nothing comes twice") {
  constexpr size_t kPrefetch = 8, kMessages = 60;
  const KafkaTopic topic(2);
  loop::Loop loop;
  for (size_t i = 0; i < kMessages; ++i) {
    topic.put("key" + std::to_string(i), text_of(std::to_string(i)));
  }
  KafkaSourceOptions options;
  options.prefetch = kPrefetch;
  Source source(loop, topic, options);
  std::set<std::string> ids;
  while (ids.size() < kMessages) {
    REQUIRE(source.gets(1));
    for (int i = 0; i < 20; ++i) loop.run_once(false);
    CHECK(source.got.size() <= kPrefetch);
    for (const Delivery& delivery : std::exchange(source.got, {})) {
      CHECK(ids.insert(delivery.event.id).second);
      source.settle(delivery.tag);
    }
  }
  CHECK(run_until(loop, [&] { return topic.done(0) + topic.done(1) == kMessages; }));
  source.stop();
}

TEST_CASE("orders/kafka_source: a second member takes partitions over, lost tags mean nothing") {
  const KafkaTopic topic(2);
  loop::Loop loop;
  KafkaSourceOptions options;
  options.prefetch = 4;  // so that partitions are paused when they change hands
  for (int i = 0; i < 20; ++i) topic.put("key" + std::to_string(i), text_of(std::to_string(i)));
  const int64_t first_half = topic.end(0);
  REQUIRE(first_half > 0);
  REQUIRE(first_half < 20);
  Source one(loop, topic, options);
  REQUIRE(one.gets(4));
  Source two(loop, topic, options);
  // Nothing was settled: all comes again, to whoever has the partition now.
  REQUIRE(run_until(loop, [&] { return one.got.size() > 4 && !two.got.empty(); }));
  for (size_t i = 0; i < 4; ++i) one.settle(one.got[i].tag);
  CHECK(topic.done(0) + topic.done(1) == -2002);
  one.got.erase(one.got.begin(), one.got.begin() + 4);
  std::set<std::string> ids;
  const auto settle_all = [&] {
    for (Source* source : {&one, &two}) {
      for (const Delivery& delivery : std::exchange(source->got, {})) {
        CHECK(ids.insert(delivery.event.id).second);
        source->settle(delivery.tag);
      }
    }
    return ids.size() == 20;
  };
  CHECK(run_until(loop, settle_all));
  CHECK(one.settled > 4);
  CHECK(two.settled > 0);
  CHECK(run_until(loop, [&] { return topic.done(0) + topic.done(1) == 20; }));
  one.stop();
  two.stop();
}

TEST_CASE("orders/kafka_source: brokers away and back: it is told, and goes on where it was") {
  const KafkaTopic topic;
  loop::Loop loop;
  topic.put("a", text_of("a1"));
  Source source(loop, topic);
  source.settles_at_once = true;
  REQUIRE(run_until(loop, [&] { return source.settled == 1; }));
  CHECK(run_until(loop, [&] { return topic.done() == 1; }));
  topic.cluster.down();
  CHECK(run_until(loop, [&] { return !source.source->is_up(); }));
  topic.cluster.up();
  CHECK(run_until(loop, [&] { return source.source->is_up(); }));
  topic.put("a", text_of("a2"));
  CHECK(run_until(loop, [&] { return source.settled == 2; }));
  CHECK(run_until(loop, [&] { return topic.done() == 2; }));
  source.stop();
}

TEST_CASE("orders/kafka_source: stopping does not wait for a cluster that is away or frozen") {
  e2e::KafkaCluster cluster;
  const KafkaTopic topic(1, cluster);
  loop::Loop loop;
  topic.put("a", text_of("a1"));
  topic.put("a", text_of("a2"));
  Source one(loop, topic), two(loop, topic);
  REQUIRE(run_until(loop, [&] { return one.got.size() + two.got.size() == 1; }));
  Source& owner = one.got.empty() ? two : one;
  Source& other = one.got.empty() ? one : two;
  cluster.freeze();
  owner.settle(owner.got[0].tag);
  const TimePoint before = monotonic_now();
  owner.stop(seconds(1));
  CHECK(monotonic_now() - before < seconds(4));
  owner.source.reset();
  CHECK(monotonic_now() - before < seconds(7));
  cluster.kill();
  CHECK(run_until(loop, [&] { return !other.source->is_up(); }));
  const TimePoint again = monotonic_now();
  other.stop();
  other.source.reset();
  CHECK(monotonic_now() - again < seconds(5));
}
