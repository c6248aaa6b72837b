// Hosts that share a Redis: what the tests of that tier begin with.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tests/e2e/harness/e2e.h"
#include "tests/e2e/harness/redis.h"
#include "tests/e2e/harness/visitors.h"

namespace e2e {

inline constexpr const char* kSharedYaml = R"(
workers: @workers
pools:
  app: {endpoints: [{address: "@a", name: a}], health: {type: off}, retry: {attempts: 1}}
routes:
  - {match: {path: /}, pool: app, cache: {@cache}}
cache: {memory: {size: @memory, max_object: @max_object}, redis: {@redis}}
)";

// With time enough for a machine under load; tests of time set their own.
Values shared_values(const std::string& origin, const std::string& redis_url);

using Answers = std::function<std::string(const Message& request)>;
// Answers all; what starts with /warm/ by itself.
Origin::Script serving(Answers answers);

Message ask(Sluice& sluice, const std::string& path, const std::string& lines = "",
            const std::string& method = "GET");
std::string status_of(const Message& message);  // Cache-Status
bool is_hit(const Message& message);
bool is_from_redis(const Message& message);
bool is_from_memory(const Message& message);
size_t count_of(Origin& origin, const std::string& target);  // requests

// Asks, and waits until the answer is written to Redis.
Message store(Sluice& sluice, const std::string& path, const std::string& lines = "");
// The name of its hash in Redis, where it must not be yet.
std::string store_and_name(Sluice& sluice, Redis& redis, const std::string& path);
// Until every worker of `to` finds in Redis what `from` stores there.
void await_shared(Sluice& from, Sluice& to);
double redis_looks(Sluice& sluice, const std::string& result);

struct Hosts {
  explicit Hosts(Answers answers, Values more = {}, const std::vector<std::string>& words = {});
  Values values(Values more = {}) const;
  // Another one, which has nothing in memory.
  std::unique_ptr<Sluice> another();

  Redis redis;
  Origin origin;
  Values more;
  Sluice a, b;
};

// A host with little memory before a Redis, under load: most hits come from there.
class Traffic {
 public:
  explicit Traffic(const Values& more);
  explicit Traffic(const Redis& redis) : Traffic(redis_at(redis.url())) {}
  static Values redis_at(const std::string& url) {
    return {{"redis", "url: \"" + url + "\", timeout: 20ms"}};
  }
  void begin(size_t urls = 2000);
  void wait_for_redis_hits(double more = 100);
  void wait_for_looks(const std::string& result, double more = 1);
  // Ends it: no client has seen anything of it.
  void expect_unharmed();

  // As long as that, and visitors are served all the while.
  void hold(milliseconds time);

  Origin origin;
  Values values;
  Sluice sluice;
  std::unique_ptr<Visitors> visitors;
};

std::string body_of(const std::string& path);  // 4 KiB that name it

}  // namespace e2e
