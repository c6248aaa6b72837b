// The algorithms by tables: no endpoints, no loop, no time.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "sluice/base/hash.h"
#include "sluice/upstream/balance/balancer.h"
#include "sluice/upstream/balance/consistent_hash.h"
#include "sluice/upstream/balance/ewma.h"
#include "sluice/upstream/balance/least_conn.h"
#include "sluice/upstream/balance/random_two.h"
#include "sluice/upstream/balance/round_robin.h"
#include "sluice/upstream/balance/weighted.h"

namespace sluice::upstream::balance {
namespace {

using config::Balance;

std::vector<Member> members_of(std::vector<uint32_t> weights) {
  std::vector<Member> members;
  for (uint32_t weight : weights) {
    Member member;
    member.usable = true;
    member.weight = weight * kWholeShare;
    member.hash = hash64("endpoint-" + std::to_string(members.size()));
    members.push_back(member);
  }
  return members;
}

// The order of `count` choices as letters; '-' for nobody.
std::string order(Balancer& balancer, const std::vector<Member>& members, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const size_t chosen = balancer.choose(members, 0);
    text += chosen == kNobody ? '-' : static_cast<char>('a' + chosen);
  }
  return text;
}

std::vector<size_t> spread(Balancer& balancer, const std::vector<Member>& members, int count) {
  std::vector<size_t> hits(members.size());
  for (int i = 0; i < count; ++i) ++hits[balancer.choose(members, hash64(std::to_string(i)))];
  return hits;
}

constexpr Balance::Kind kAll[] = {Balance::Kind::kRoundRobin, Balance::Kind::kWeighted,
                                  Balance::Kind::kLeastConn,  Balance::Kind::kRandomTwo,
                                  Balance::Kind::kEwma,       Balance::Kind::kConsistentHash};

TEST_CASE("upstream/balance: nobody is chosen when nobody is usable") {
  for (Balance::Kind kind : kAll) {
    CAPTURE(static_cast<int>(kind));
    for (uint64_t turn : {0, 1, 7}) {
      auto balancer = make_balancer(kind, turn);
      CHECK(balancer->choose({}, 1) == kNobody);
      auto members = members_of({1, 1, 1});
      for (Member& member : members) member.usable = false;
      CHECK(balancer->choose(members, 1) == kNobody);
    }
  }
}

TEST_CASE("upstream/balance: the only usable one is always found") {
  for (Balance::Kind kind : kAll) {
    CAPTURE(static_cast<int>(kind));
    for (size_t only = 0; only < 4; ++only) {
      auto balancer = make_balancer(kind, 2);
      auto members = members_of({1, 2, 3, 4});
      for (size_t i = 0; i < members.size(); ++i) members[i].usable = i == only;
      for (int i = 0; i < 5; ++i)
        CHECK(balancer->choose(members, static_cast<uint64_t>(i)) == only);
    }
  }
}

TEST_CASE("upstream/balance: the number of members may change between choices") {
  for (Balance::Kind kind : kAll) {
    CAPTURE(static_cast<int>(kind));
    auto balancer = make_balancer(kind, 0);
    for (size_t count : {5, 2, 1, 7, 3}) {
      auto members = members_of(std::vector<uint32_t>(count, 1));
      for (int i = 0; i < 8; ++i) CHECK(balancer->choose(members, 3) < count);
    }
  }
}

TEST_CASE("upstream/balance: round robin takes turns and passes over who is not usable") {
  RoundRobin balancer(0);
  auto members = members_of({1, 5, 1});
  CHECK(order(balancer, members, 7) == "abcabca");
  members[1].usable = false;
  CHECK(order(balancer, members, 4) == "caca");
  members[1].usable = true;
  CHECK(order(balancer, members, 3) == "bca");
}

TEST_CASE("upstream/balance: workers start round robin at different places") {
  auto members = members_of({1, 1, 1});
  for (uint64_t worker = 0; worker < 7; ++worker) {
    RoundRobin balancer(worker);
    CHECK(balancer.choose(members, 0) == worker % 3);
  }
}

TEST_CASE("upstream/balance: round robin gives a slow starter its share of turns") {
  RoundRobin balancer(0);
  auto members = members_of({1, 1, 1});
  members[2].share = kWholeShare / 4;
  auto hits = spread(balancer, members, 900);
  CHECK(hits[0] == doctest::Approx(400).epsilon(0.01));
  CHECK(hits[1] == doctest::Approx(400).epsilon(0.01));
  CHECK(hits[2] == doctest::Approx(100).epsilon(0.03));
  // All starting slowly is as if none did.
  for (Member& member : members) member.share = 13;
  hits = spread(balancer, members, 300);
  for (size_t count : hits) CHECK(count == 100);
}

TEST_CASE("upstream/balance: smooth weighted round robin interleaves by weight") {
  struct Case {
    std::vector<uint32_t> weights;
    std::string order;
  } const cases[] = {
      {{5, 1, 1}, "aabacaaaabacaa"}, {{1, 1, 1}, "abcabc"}, {{2, 1}, "abaaba"},
      {{3, 2}, "ababaababa"},        {{1, 3}, "babbbabb"},  {{7}, "aaaa"},
  };
  for (const Case& c : cases) {
    Weighted balancer(0);
    CHECK(order(balancer, members_of(c.weights), static_cast<int>(c.order.size())) == c.order);
  }
}

TEST_CASE("upstream/balance: another worker's weighted order is the same, further on") {
  const auto members = members_of({5, 1, 1});
  for (uint64_t worker : {1, 2, 5}) {
    Weighted balancer(worker);
    CHECK(order(balancer, members, 7) ==
          std::string("aabacaaaabacaa").substr(static_cast<size_t>(worker), 7));
  }
}

TEST_CASE("upstream/balance: weighted follows weights that change, such as in slow start") {
  Weighted balancer(0);
  auto members = members_of({1, 1});
  members[1].weight = kWholeShare / 4;
  const auto hits = spread(balancer, members, 500);
  CHECK(hits[0] == 400);
  CHECK(hits[1] == 100);
}

TEST_CASE("upstream/balance: least_conn takes the least in flight for its weight, equals in turn") {
  struct Case {
    std::vector<uint32_t> weights, in_flight;
    std::string order;
  } const cases[] = {
      {{1, 1, 1}, {0, 0, 0}, "abcabc"}, {{1, 1, 1}, {1, 0, 2}, "bbb"},
      {{1, 1, 1}, {1, 1, 2}, "abab"},   {{2, 1}, {3, 2}, "aaa"},
      {{2, 1}, {4, 2}, "abab"},         {{1, 256}, {1, 255}, "bb"},
  };
  for (const Case& c : cases) {
    LeastConn balancer(0);
    auto members = members_of(c.weights);
    for (size_t i = 0; i < members.size(); ++i) members[i].in_flight = c.in_flight[i];
    CHECK(order(balancer, members, static_cast<int>(c.order.size())) == c.order);
  }
}

TEST_CASE("upstream/balance: random_two never takes the worst and is even among equals") {
  RandomTwo balancer(42);
  auto members = members_of({1, 1, 1});
  members[1].in_flight = 5;
  auto hits = spread(balancer, members, 3000);
  CHECK(hits[1] == 0);
  members[1].in_flight = 0;
  hits = spread(balancer, members, 6000);
  for (size_t count : hits) CHECK(count == doctest::Approx(2000).epsilon(0.1));
}

TEST_CASE("upstream/balance: random_two lets weights decide between equally loaded ones") {
  RandomTwo balancer(42);
  const auto hits = spread(balancer, members_of({3, 1}), 4000);
  CHECK(hits[0] == doctest::Approx(3000).epsilon(0.1));
}

TEST_CASE("upstream/balance: two_at_random yields two different usable members") {
  Random random(1);
  auto members = members_of({1, 1, 1, 1});
  members[2].usable = false;
  for (int i = 0; i < 200; ++i) {
    const auto [first, second] = two_at_random(members, random);
    CHECK(first != second);
    CHECK(members[first].usable);
    CHECK(members[second].usable);
  }
}

TEST_CASE("upstream/balance/ewma: a peak counts at once, a better time by and by") {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  constexpr uint64_t kMs = 1'000'000;
  CHECK(ewma_observe(0, Duration{0}, milliseconds(5)) == 5 * kMs);
  CHECK(ewma_observe(5 * kMs, seconds(1), milliseconds(50)) == 50 * kMs);
  CHECK(ewma_observe(50 * kMs, Duration{0}, milliseconds(5)) == 50 * kMs);
  const uint64_t after = ewma_observe(50 * kMs, kEwmaDecay, milliseconds(5));
  CHECK(after == doctest::Approx((5 + 45 * std::exp(-1.0)) * kMs).epsilon(0.001));
  CHECK(ewma_observe(50 * kMs, 100 * kEwmaDecay, milliseconds(5)) == 5 * kMs);
  CHECK(ewma_faded(50 * kMs, kEwmaDecay) == doctest::Approx(50 * kMs * std::exp(-1.0)));
  CHECK(ewma_faded(50 * kMs, -kEwmaDecay) == doctest::Approx(50 * kMs));
}

TEST_CASE("upstream/balance/ewma: latency times requests in flight decides") {
  struct Case {
    uint64_t latency[2];
    uint32_t in_flight[2];
    uint32_t weight[2];
    Duration age[2];
    size_t chosen;
  } const cases[] = {
      {{10, 20}, {0, 0}, {1, 1}, {}, 0},
      {{10, 20}, {2, 0}, {1, 1}, {}, 1},
      {{10, 20}, {0, 0}, {1, 4}, {}, 1},
      {{10, 40}, {0, 0}, {1, 1}, {Duration{0}, 3 * kEwmaDecay}, 1},  // long unheard of: tried again
      {{0, 20}, {1, 0}, {1, 1}, {}, 1},  // unknown: as the mean of the others
      {{20, 0}, {1, 0}, {1, 1}, {}, 1},
  };
  for (const Case& c : cases) {
    Ewma balancer(7);
    auto members = members_of({c.weight[0], c.weight[1]});
    for (size_t i = 0; i < 2; ++i) {
      members[i].latency_ns = c.latency[i] * 1'000'000;
      members[i].in_flight = c.in_flight[i];
      members[i].latency_age = c.age[i];
    }
    for (int i = 0; i < 10; ++i) CHECK(balancer.choose(members, 0) == c.chosen);
  }
}

TEST_CASE("upstream/balance/consistent_hash: keys stay and are spread by weight") {
  ConsistentHash balancer;
  auto members = members_of({1, 1, 2});
  auto hits = spread(balancer, members, 20000);
  CHECK(hits[0] == doctest::Approx(5000).epsilon(0.06));
  CHECK(hits[1] == doctest::Approx(5000).epsilon(0.06));
  CHECK(hits[2] == doctest::Approx(10000).epsilon(0.06));
  hits = spread(balancer, members_of({1, 1, 1, 1}), 20000);
  for (size_t count : hits) CHECK(count == doctest::Approx(5000).epsilon(0.06));
  for (uint64_t key = 0; key < 50; ++key) {
    CHECK(balancer.choose(members, key) == balancer.choose(members, key));
  }
}

TEST_CASE("upstream/balance/consistent_hash: adding one of n moves about 1/n, and only to it") {
  constexpr int kKeys = 20000;
  for (size_t before : {2, 4, 9}) {
    ConsistentHash balancer;
    const auto old_members = members_of(std::vector<uint32_t>(before, 1));
    const auto new_members = members_of(std::vector<uint32_t>(before + 1, 1));
    int moved = 0;
    for (int i = 0; i < kKeys; ++i) {
      const uint64_t key = hash64(std::to_string(i));
      const size_t was = balancer.choose(old_members, key);
      const size_t is = balancer.choose(new_members, key);
      if (was == is) continue;
      ++moved;
      CHECK(is == before);
    }
    CHECK(moved == doctest::Approx(kKeys / static_cast<double>(before + 1)).epsilon(0.08));
  }
}

TEST_CASE("upstream/balance/consistent_hash: one that goes gives its keys to all others") {
  ConsistentHash balancer;
  auto members = members_of({1, 1, 1, 1});
  std::vector<size_t> heirs(4);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t key = hash64(std::to_string(i));
    members[1].usable = true;
    const size_t was = balancer.choose(members, key);
    members[1].usable = false;
    const size_t is = balancer.choose(members, key);
    if (was != 1) {
      CHECK(is == was);
    } else {
      ++heirs[is];
    }
  }
  for (size_t i : {0, 2, 3}) CHECK(heirs[i] == doctest::Approx(20000 / 12.0).epsilon(0.15));
}

TEST_CASE(
    "upstream/balance/consistent_hash: unequal weights that differ by slow start move little") {
  ConsistentHash balancer;
  auto members = members_of({1, 1, 1});
  int moved = 0;
  for (int i = 0; i < 9000; ++i) {
    const uint64_t key = hash64(std::to_string(i));
    members[0].weight = kWholeShare;
    const size_t was = balancer.choose(members, key);
    members[0].weight = kWholeShare / 2;
    const size_t is = balancer.choose(members, key);
    if (was == is) continue;
    CHECK(was == 0);
    ++moved;
  }
  // From a third of the keys to a fifth.
  CHECK(moved == doctest::Approx(9000 * (1 / 3.0 - 1 / 5.0)).epsilon(0.1));
}

TEST_CASE("upstream/balance/consistent_hash: a hot key spills over at 1.25 times the mean") {
  ConsistentHash balancer;
  auto members = members_of({1, 1, 1, 1});
  for (int i = 0; i < 400; ++i) ++members[balancer.choose(members, 99)].in_flight;
  uint32_t most = 0;
  for (const Member& member : members) most = std::max(most, member.in_flight);
  CHECK(most <= std::ceil(kLoadBound * 400 / 4));
  CHECK(most >= 100);
  // A handful of requests is not scattered.
  for (Member& member : members) member.in_flight = 0;
  const size_t home = balancer.choose(members, 99);
  for (uint32_t i = 0; i < kLoadFloor; ++i) {
    CHECK(balancer.choose(members, 99) == home);
    ++members[home].in_flight;
  }
}

}  // namespace
}  // namespace sluice::upstream::balance
