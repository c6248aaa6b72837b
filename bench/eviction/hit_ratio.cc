// Hit ratio of the store's eviction (S3-FIFO) against LRU on made-up traces: Zipf popularity, sizes
// spread as web objects are, with and without scans of URLs that are asked for once.
//
//   hit_ratio [requests]      prints one table, ratio by requests and by bytes
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sluice/base/hash.h"
#include "sluice/base/random.h"
#include "sluice/cache/s3_fifo.h"

namespace {

using sluice::mix64;
using sluice::Random;
using sluice::cache::EvictionNode;
using sluice::cache::S3Fifo;

constexpr uint64_t kObjects = 200'000;

// Popularity of rank i is 1 / i^skew.
class Zipf {
 public:
  explicit Zipf(double skew) : sums_(kObjects) {
    double sum = 0;
    for (uint64_t i = 0; i < kObjects; ++i) {
      sums_[i] = sum += 1 / std::pow(static_cast<double>(i + 1), skew);
    }
  }
  uint64_t operator()(Random& random) const {
    const double at = random.unit() * sums_.back();
    return static_cast<uint64_t>(std::lower_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

// Log-normal around 8 KiB, the same for an object each time.
size_t size_of(uint64_t object) {
  Random random(object);
  const double u = std::max(random.unit(), 1e-12), v = random.unit();
  const double normal = std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
  return static_cast<size_t>(std::clamp(std::exp(9.0 + 1.2 * normal), 200.0, 1e6));
}

class Trace {
 public:
  // `scans`: share of requests that belong to scans.
  Trace(double skew, double scans, size_t requests) {
    const Zipf zipf(skew);
    Random random(42);
    constexpr size_t kScan = 2000;
    uint64_t fresh = kObjects;
    while (objects_.size() < requests) {
      if (random.unit() < scans / ((1 - scans) * kScan)) {
        for (size_t i = 0; i < kScan; ++i) objects_.push_back(fresh++);
      }
      objects_.push_back(zipf(random));
    }
  }
  const std::vector<uint64_t>& objects() const { return objects_; }

 private:
  std::vector<uint64_t> objects_;
};

struct Ratio {
  double requests = 0, bytes = 0;
};

template <typename Cache>
Ratio run(const Trace& trace, Cache&& cache) {
  double hits = 0, hit_bytes = 0, all_bytes = 0;
  for (uint64_t object : trace.objects()) {
    const size_t size = size_of(object);
    all_bytes += static_cast<double>(size);
    if (!cache.ask(object, size)) continue;
    ++hits;
    hit_bytes += static_cast<double>(size);
  }
  return {hits / static_cast<double>(trace.objects().size()), hit_bytes / all_bytes};
}

class Lru {
 public:
  explicit Lru(size_t limit) : limit_(limit) {}
  bool ask(uint64_t object, size_t size) {
    if (const auto found = index_.find(object); found != index_.end()) {
      order_.splice(order_.end(), order_, found->second);
      return true;
    }
    for (bytes_ += size; bytes_ > limit_; order_.pop_front()) {
      bytes_ -= order_.front().second;
      index_.erase(order_.front().first);
    }
    index_[object] = order_.insert(order_.end(), {object, size});
    return false;
  }

 private:
  const size_t limit_;
  size_t bytes_ = 0;
  std::list<std::pair<uint64_t, size_t>> order_;
  std::unordered_map<uint64_t, std::list<std::pair<uint64_t, size_t>>::iterator> index_;
};

class Ours {
 public:
  explicit Ours(size_t limit) : limit_(limit) { order_.set_ghosts(16); }
  bool ask(uint64_t object, size_t size) {
    if (const auto found = index_.find(object); found != index_.end()) {
      found->second->touch();
      return true;
    }
    while (order_.bytes() + size > limit_) index_.erase(static_cast<Item*>(order_.evict())->object);
    auto item = std::make_unique<Item>();
    item->object = object;
    order_.insert(*item, mix64(7, object), size);
    index_[object] = std::move(item);
    if (index_.size() > ghosts_) order_.set_ghosts(ghosts_ *= 2);
    return false;
  }

 private:
  struct Item : EvictionNode {
    uint64_t object = 0;
  };
  const size_t limit_;
  size_t ghosts_ = 16;
  S3Fifo order_;
  std::unordered_map<uint64_t, std::unique_ptr<Item>> index_;
};

}  // namespace

int main(int argc, char** argv) {
  const size_t requests = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
  double all = 0;
  for (uint64_t i = 0; i < kObjects; ++i) all += static_cast<double>(size_of(i));
  std::printf("| skew | scans | cache | LRU hits | S3-FIFO hits | LRU bytes | S3-FIFO bytes |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  for (const double skew : {0.7, 0.8, 0.9, 1.0, 1.1}) {
    for (const double scans : {0.0, 0.2, 0.5}) {
      const Trace trace(skew, scans, requests);
      for (const double share : {0.01, 0.1}) {
        const auto limit = static_cast<size_t>(all * share);
        const Ratio lru = run(trace, Lru(limit)), ours = run(trace, Ours(limit));
        std::printf("| %.1f | %2.0f %% | %3.0f %% | %.1f | %.1f | %.1f | %.1f |\n", skew,
                    scans * 100, share * 100, lru.requests * 100, ours.requests * 100,
                    lru.bytes * 100, ours.bytes * 100);
      }
    }
  }
  return 0;
}
