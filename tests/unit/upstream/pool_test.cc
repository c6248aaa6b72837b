// Who gets the next request: groups, states, sticky, tried, claims, waiting.
#include "sluice/upstream/pool.h"

#include <atomic>
#include <map>
#include <thread>

#include "sluice/upstream/pool_shared.h"
#include "support.h"

namespace sluice::upstream {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A pool with endpoints a, b, c… for one or more workers.
struct Bed {
  explicit Bed(size_t endpoints, uint32_t workers = 1) {
    configured.name = "p";
    shared = std::make_shared<PoolShared>("p", 1, workers);
    for (size_t i = 0; i < endpoints; ++i) {
      configured.endpoints.push_back(endpoint_config(std::string(1, static_cast<char>('a' + i))));
    }
  }
  Pool& make(uint32_t worker = 0) {
    if (all.empty()) {
      for (const auto& endpoint : configured.endpoints) {
        all.push_back(std::make_shared<Endpoint>("p", endpoint, 4, 1));
      }
    }
    shared->configure(configured, all);
    pool = std::make_unique<Pool>(configured, all, shared, worker, loop, counters);
    return *pool;
  }
  Endpoint& operator[](char name) { return *all[static_cast<size_t>(name - 'a')]; }
  PickInput input() {
    PickInput in;
    in.now = now;
    return in;
  }
  // Names of the endpoints chosen; settled well at once, or as an error's token.
  std::string order(int count, bool failed = false) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const PickOutcome got = pool->pick(input());
      if (got.endpoint == nullptr) return text + std::string(error_row(got.error).token);
      text += got.endpoint->name();
      pool->settle(*got.endpoint, {.failed = failed, .first_byte = milliseconds(1)});
    }
    return text;
  }

  loop::Loop loop;
  stats::Counters counters;
  config::Pool configured;
  std::shared_ptr<PoolShared> shared;
  std::vector<std::shared_ptr<Endpoint>> all;
  std::unique_ptr<Pool> pool;
  TimePoint now = monotonic_now();
};

TEST_CASE("upstream/pool: only usable endpoints are chosen") {
  Bed bed(3);
  bed.make();
  CHECK(bed.order(4) == "abca");
  bed['b'].set_healthy(false, bed.now);
  CHECK(bed.order(3) == "cac");
  bed['c'].set_admin_state(AdminState::draining);
  CHECK(bed.order(2) == "aa");
  bed['a'].set_weight(0);
  CHECK(bed.order(1) == "no_healthy_endpoint");
  bed['b'].set_healthy(true, bed.now);
  CHECK(bed.order(2) == "bb");
  bed['b'].set_addresses({});
  CHECK(bed.order(1) == "no_healthy_endpoint");
}

TEST_CASE("upstream/pool: claims are counted until they are settled") {
  Bed bed(1);
  bed.make();
  const PickOutcome first = bed.pool->pick(bed.input());
  const PickOutcome second = bed.pool->pick(bed.input());
  CHECK(bed['a'].in_flight() == 2);
  bed.pool->settle(*first.endpoint, {.failed = true, .first_byte = {}});
  bed.pool->settle(*second.endpoint, {.failed = false, .first_byte = milliseconds(1)});
  CHECK(bed['a'].in_flight() == 0);
  CHECK(bed['a'].requests() == 2);
  CHECK(bed['a'].failures() == 1);
}

TEST_CASE("upstream/pool: what was tried is chosen again only when nothing else is usable") {
  Bed bed(3);
  bed.configured.endpoints[2].backup = true;
  bed.make();
  std::vector<Endpoint*> tried;
  std::string order;
  for (int i = 0; i < 4; ++i) {
    PickInput in = bed.input();
    in.tried = tried;
    const PickOutcome got = bed.pool->pick(in);
    REQUIRE(got.endpoint != nullptr);
    order += got.endpoint->name();
    tried.push_back(got.endpoint);
    bed.pool->settle(*got.endpoint, {});
  }
  CHECK(order.substr(0, 3) == "abc");  // the backup before a second try
  CHECK(order[3] == 'a');
}

TEST_CASE("upstream/pool: backups serve only while no primary endpoint is usable") {
  Bed bed(3);
  bed.configured.endpoints[1].backup = bed.configured.endpoints[2].backup = true;
  bed.make();
  CHECK(bed.order(3) == "aaa");
  bed['a'].set_healthy(false, bed.now);
  CHECK(bed.order(4) == "bcbc");
  bed['a'].set_healthy(true, bed.now);
  CHECK(bed.order(2) == "aa");
}

TEST_CASE("upstream/pool: when all are down it fails, or tries all that people allow") {
  Bed bed(3);
  bed.configured.when_all_down = config::WhenAllDown::kTryAll;
  bed.make();
  for (char name : {'a', 'b', 'c'}) bed[name].set_healthy(false, bed.now);
  bed['c'].set_admin_state(AdminState::disabled);
  CHECK(bed.order(4) == "abab");
  bed.configured.when_all_down = config::WhenAllDown::kFail;
  CHECK(bed.order(1) == "no_healthy_endpoint");
}

TEST_CASE("upstream/pool: a name without an address is told apart") {
  Bed bed(2);
  bed.make();
  bed['a'].set_addresses({});
  bed['b'].set_addresses({});
  CHECK(bed.order(1) == "dns_failed");
}

TEST_CASE("upstream/pool: failures in a row take an endpoint out, a success ends the row") {
  Bed bed(2);
  bed.configured.outlier = {.failures = 3, .base = seconds(10), .max_share = 0.5};
  bed.make();
  const auto settle_a = [&](bool failed, Duration first_byte = milliseconds(1)) {
    bed['a'].began(0);
    bed.pool->settle(bed['a'], {.failed = failed, .first_byte = first_byte});
  };
  settle_a(true);
  settle_a(true);
  settle_a(false);
  settle_a(true);
  settle_a(true);
  settle_a(false, {});  // no answer, and not the endpoint's fault: says nothing
  CHECK_FALSE(bed['a'].is_ejected(bed.now));
  settle_a(true);
  CHECK(bed['a'].is_ejected(bed.now));
  CHECK(bed.counters.get(stats::Counter::outlier_ejections) == 1);
  CHECK(bed['a'].state() == EndpointState::down);
  CHECK(bed.order(2) == "bb");
  // The other may not go too: half of two.
  for (int i = 0; i < 9; ++i) {
    bed['b'].began(0);
    bed.pool->settle(bed['b'], {.failed = true, .first_byte = {}});
  }
  CHECK(bed.order(1) == "b");
  bed.now += seconds(11);
  CHECK(bed.order(2) == "ab");
  CHECK_FALSE(bed['a'].is_ejection_over(bed.now));  // noted
}

TEST_CASE("upstream/pool: all taken out is an open breaker") {
  Bed bed(2);
  bed.configured.outlier = {.failures = 1, .base = seconds(10), .max_share = 1.0};
  bed.make();
  CHECK(bed.order(2, true) == "ab");
  CHECK(bed.order(1) == "breaker_open");
  bed.configured.when_all_down = config::WhenAllDown::kTryAll;
  CHECK(bed.order(2) == "ab");
}

TEST_CASE("upstream/pool: a single endpoint is never taken out at half a share") {
  Bed bed(1);
  bed.configured.outlier = {.failures = 1, .base = seconds(10), .max_share = 0.5};
  bed.make();
  CHECK(bed.order(5, true) == "aaaaa");
}

TEST_CASE("upstream/pool: the sticky cookie binds to its endpoint as long as that can serve") {
  Bed bed(3);
  bed.configured.sticky_cookie = "s";
  bed.make();
  char cookie[16];
  Pool::write_sticky(bed['b'], cookie);
  PickInput in = bed.input();
  in.sticky = std::string_view(cookie, 16);
  for (int i = 0; i < 4; ++i) {
    const PickOutcome got = bed.pool->pick(in);
    REQUIRE(got.endpoint == &bed['b']);
    CHECK_FALSE(got.set_sticky);
    bed.pool->settle(*got.endpoint, {});
  }
  bed['b'].set_weight(0);  // no new requests, but its own
  PickOutcome got = bed.pool->pick(in);
  CHECK(got.endpoint == &bed['b']);
  bed.pool->settle(*got.endpoint, {});
  for (std::string_view other :
       {std::string_view(""), std::string_view("0123456789abcdef"), std::string_view("nonsense"),
        std::string_view("zzzzzzzzzzzzzzzz")}) {
    in.sticky = other;
    got = bed.pool->pick(in);
    CHECK(got.set_sticky);
    bed.pool->settle(*got.endpoint, {});
  }
  in.sticky = std::string_view(cookie, 16);
  bed['b'].set_admin_state(AdminState::draining);
  got = bed.pool->pick(in);
  CHECK(got.endpoint != &bed['b']);
  CHECK(got.set_sticky);
  bed.pool->settle(*got.endpoint, {});
}

TEST_CASE("upstream/pool: a sticky endpoint that is full or was tried is left for once") {
  Bed bed(2);
  bed.configured.sticky_cookie = "s";
  bed.configured.max_in_flight = 1;
  bed.make();
  char cookie[16];
  Pool::write_sticky(bed['a'], cookie);
  PickInput in = bed.input();
  in.sticky = std::string_view(cookie, 16);
  const PickOutcome first = bed.pool->pick(in);
  REQUIRE(first.endpoint == &bed['a']);
  PickOutcome second = bed.pool->pick(in);
  CHECK(second.endpoint == &bed['b']);
  CHECK_FALSE(second.set_sticky);  // it comes back to a
  bed.pool->settle(*first.endpoint, {});
  bed.pool->settle(*second.endpoint, {});
  Endpoint* const tried[] = {&bed['a']};
  in.tried = tried;
  second = bed.pool->pick(in);
  CHECK(second.endpoint == &bed['b']);
  CHECK(second.set_sticky);
  bed.pool->settle(*second.endpoint, {});
}

TEST_CASE("upstream/pool: max_in_flight is exact, and full ones are passed over") {
  Bed bed(2);
  bed.configured.max_in_flight = 2;
  for (auto kind : {config::Balance::Kind::kRoundRobin, config::Balance::Kind::kWeighted,
                    config::Balance::Kind::kLeastConn, config::Balance::Kind::kRandomTwo,
                    config::Balance::Kind::kEwma, config::Balance::Kind::kConsistentHash}) {
    bed.configured.balance.kind = kind;
    bed.make();
    std::map<Endpoint*, int> taken;
    for (int i = 0; i < 4; ++i) ++taken[bed.pool->pick(bed.input()).endpoint];
    CHECK(taken[&bed['a']] == 2);
    CHECK(taken[&bed['b']] == 2);
    const PickOutcome got = bed.pool->pick(bed.input());
    CHECK(got.endpoint == nullptr);
    CHECK(got.error == Errc::kQueueFull);
    for (char name : {'a', 'a', 'b', 'b'}) bed.pool->settle(bed[name], {});
  }
}

struct Waiting final : Waiter {
  Waiting(Bed& its_bed, std::string& its_log, char its_name)
      : bed(its_bed), log(its_log), name(its_name) {}
  void on_place_free() noexcept override {
    log += name;
    const PickOutcome got = bed.pool->pick(bed.input());
    claimed = got.endpoint;
    if (claimed == nullptr) {
      log += '!';
      CHECK(bed.pool->wait(*this));
    }
  }
  void settle() { bed.pool->settle(*std::exchange(claimed, nullptr), {}); }

  Bed& bed;
  std::string& log;
  char name;
  Endpoint* claimed = nullptr;
};

TEST_CASE("upstream/pool: waiters are woken in order, one for each place") {
  Bed bed(1);
  bed.configured.max_in_flight = 1;
  bed.configured.queue.size = 3;
  bed.make();
  std::string log;
  Endpoint* held = bed.pool->pick(bed.input()).endpoint;
  REQUIRE(held != nullptr);
  Waiting one(bed, log, '1'), two(bed, log, '2'), three(bed, log, '3'), four(bed, log, '4');
  CHECK(bed.pool->wait(one));
  CHECK(bed.pool->wait(two));
  CHECK(bed.pool->wait(three));
  CHECK_FALSE(bed.pool->wait(four));
  CHECK(bed.pool->waiting() == 3);
  two.unlink();
  CHECK(bed.pool->waiting() == 2);
  CHECK(bed.pool->wait(four));
  bed.pool->settle(*held, {});
  CHECK(log.empty());  // never inside settle()
  // The place is for who waits.
  CHECK(bed.pool->pick(bed.input()).error == Errc::kQueueFull);
  settle(bed.loop);
  CHECK(log == "13!");
  one.settle();
  settle(bed.loop);
  CHECK(log == "13!34!");
  three.settle();
  settle(bed.loop);
  CHECK(log == "13!34!4");
  CHECK(bed.pool->waiting() == 0);
  four.settle();
  settle(bed.loop);
  CHECK(bed['a'].try_admit(1));
  bed['a'].release_admission();
}

TEST_CASE("upstream/pool: a place that nobody took wakes on, and who dies waiting is forgotten") {
  Bed bed(2);
  bed.configured.max_in_flight = 1;
  bed.configured.queue.size = 10;
  bed.make();
  std::string log;
  Endpoint* held = bed.pool->pick(bed.input()).endpoint;
  Endpoint* other = bed.pool->pick(bed.input()).endpoint;
  auto dying = std::make_unique<Waiting>(bed, log, 'x');
  Waiting one(bed, log, '1'), two(bed, log, '2');
  CHECK(bed.pool->wait(*dying));
  CHECK(bed.pool->wait(one));
  CHECK(bed.pool->wait(two));
  dying.reset();
  bed.pool->settle(*held, {});
  bed.pool->settle(*other, {});
  settle(bed.loop);
  CHECK(log == "12");
  one.settle();
  two.settle();
}

TEST_CASE("upstream/pool: without a queue nobody waits") {
  Bed bed(1);
  bed.configured.max_in_flight = 1;
  bed.make();
  std::string log;
  Waiting one(bed, log, '1');
  CHECK_FALSE(bed.pool->wait(one));
}

TEST_CASE("upstream/pool: waiters stay through a reload that replaces the pool") {
  Bed bed(1);
  bed.configured.max_in_flight = 1;
  bed.configured.queue.size = 10;
  bed.make();
  std::string log;
  Endpoint* held = bed.pool->pick(bed.input()).endpoint;
  Waiting one(bed, log, '1');
  CHECK(bed.pool->wait(one));
  auto before = std::move(bed.pool);
  bed.make();
  before->settle(*held, {});
  before.reset();
  settle(bed.loop);
  CHECK(log == "1");
  one.settle();
}

TEST_CASE("upstream/pool: slow start leads a returning endpoint in gently") {
  Bed bed(2);
  bed.configured.slow_start = seconds(10);
  bed.configured.balance.kind = config::Balance::Kind::kWeighted;
  bed.make();
  CHECK(bed.order(4) == "abab");
  bed['b'].set_healthy(false, bed.now);
  bed['b'].set_healthy(true, bed.now);
  bed.now += seconds(2);
  const std::string order = bed.order(120);
  CHECK(std::count(order.begin(), order.end(), 'b') == doctest::Approx(20).epsilon(0.1));
  bed.now += seconds(8);
  const std::string later = bed.order(100);
  CHECK(std::count(later.begin(), later.end(), 'b') == doctest::Approx(50).epsilon(0.05));
}

TEST_CASE("upstream/pool: ewma goes where answers come fast") {
  Bed bed(2);
  bed.configured.balance.kind = config::Balance::Kind::kEwma;
  bed.make();
  for (int i = 0; i < 50; ++i) {
    const PickOutcome got = bed.pool->pick(bed.input());
    const Duration took = got.endpoint == &bed['a'] ? milliseconds(50) : milliseconds(2);
    bed.pool->settle(*got.endpoint, {.failed = false, .first_byte = took});
  }
  CHECK(bed['b'].requests() > 40);
  // Failing at once does not attract.
  bed['b'].began(0);
  bed.pool->settle(bed['b'], {.failed = true, .first_byte = Duration(1000)});
  CHECK(bed.order(1) == "a");
}

TEST_CASE("upstream/pool: a place freed by one worker wakes a waiter of another") {
  constexpr uint32_t kWorkers = 4;
  constexpr int kRounds = 300;
  config::Pool configured;
  configured.name = "p";
  configured.endpoints = {endpoint_config("a"), endpoint_config("b")};
  configured.max_in_flight = 1;
  configured.queue.size = 1000;
  auto shared = std::make_shared<PoolShared>("p", 1, kWorkers);
  std::vector<std::shared_ptr<Endpoint>> endpoints;
  for (const auto& endpoint : configured.endpoints) {
    endpoints.push_back(std::make_shared<Endpoint>("p", endpoint, kWorkers, 1));
  }
  shared->configure(configured, endpoints);
  std::atomic<int> holders{0};
  std::atomic<int> served{0};

  // Each worker wants kRounds places, one after the other, from several askers at once.
  struct Worker {
    struct Asking final : Waiter {
      void on_place_free() noexcept override { worker->ask(*this); }
      Worker* worker = nullptr;
    };
    Worker(uint32_t index, const config::Pool& pool_config,
           const std::vector<std::shared_ptr<Endpoint>>& all,
           std::shared_ptr<PoolShared> its_shared)
        : pool(pool_config, all, std::move(its_shared), index, loop, counters) {
      for (Asking& asking : askers) asking.worker = this;
    }
    void ask(Asking& asking) {
      const PickOutcome got = pool.pick({.hash = 0, .sticky = {}, .tried = {}, .now = loop.now()});
      if (got.endpoint == nullptr) {
        if (!pool.wait(asking)) loop.post([&] { ask(asking); });
        return;
      }
      if (holders->fetch_add(1) >= 2) over = true;
      loop.post([this, &asking, endpoint = got.endpoint] {
        holders->fetch_sub(1);
        pool.settle(*endpoint, {});
        served->fetch_add(1);
        if (--left > 0) return ask(asking);
        if (left == 1 - static_cast<int>(std::size(askers))) loop.stop();
      });
    }
    loop::Loop loop;
    stats::Counters counters;
    Pool pool;
    Asking askers[3];
    int left = kRounds;
    bool over = false;
    std::atomic<int>* holders = nullptr;
    std::atomic<int>* served = nullptr;
  };

  std::vector<std::thread> threads;
  std::atomic<bool> was_over{false};
  for (uint32_t i = 0; i < kWorkers; ++i) {
    threads.emplace_back([&, i] {
      Worker worker(i, configured, endpoints, shared);
      worker.holders = &holders;
      worker.served = &served;
      loop::Timer alarm(
          worker.loop, [](void* loop) noexcept { static_cast<loop::Loop*>(loop)->stop(); },
          &worker.loop);
      alarm.set_after(seconds(60));
      for (auto& asking : worker.askers) worker.ask(asking);
      worker.loop.run();
      if (worker.over) was_over = true;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(was_over.load());
  CHECK(served.load() == kWorkers * (kRounds + 2));
  CHECK(shared->waiting() == 0);
}

}  // namespace
}  // namespace sluice::upstream
