#include "tests/e2e/harness/shared.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace e2e {

namespace {

constexpr const char* kFresh = "Cache-Control: max-age=600\r\n";

Values with(Values values, const Values& more) {
  for (const auto& [name, value] : more) values[name] = value;
  return values;
}

Values traffic_values(const Origin& origin, const Values& more) {
  return with({{"a", origin.address()},
               {"workers", "2"},
               {"cache", ""},
               {"memory", "1MiB"},
               {"max_object", "64KiB"}},
              more);
}

std::string judge_visit(const std::string& path, const Message& answer) {
  if (answer.status != 200) return "status " + std::to_string(answer.status);
  if (!answer.complete) return "incomplete";
  return answer.body == body_of(path) ? "" : "another body: " + answer.body.substr(0, 40);
}

}  // namespace

Values shared_values(const std::string& origin, const std::string& redis_url) {
  return {{"a", origin},          {"workers", "1"},
          {"cache", ""},          {"memory", "64MiB"},
          {"max_object", "8MiB"}, {"redis", "url: \"" + redis_url + "\", timeout: 2s"}};
}

Origin::Script serving(Answers answers) {
  return [answers = std::move(answers)](OriginConn& c) {
    c.serve([&](const Message& request) {
      return request.target.starts_with("/warm/") ? answer(200, "warm", kFresh) : answers(request);
    });
  };
}

Message ask(Sluice& sluice, const std::string& path, const std::string& lines,
            const std::string& method) {
  Wire client = Wire::to_port(sluice.port());
  client.send(request_text(path, lines, method));
  return client.read_response(method);
}

std::string status_of(const Message& message) { return message.field("Cache-Status"); }
bool is_hit(const Message& message) { return status_of(message).starts_with("sluice; hit"); }
bool is_from_redis(const Message& message) {
  return is_hit(message) && status_of(message).ends_with("; detail=redis");
}
bool is_from_memory(const Message& message) {
  return is_hit(message) && status_of(message).ends_with("; detail=memory");
}

size_t count_of(Origin& origin, const std::string& target) {
  const std::vector<Message> all = origin.requests();
  return static_cast<size_t>(std::count_if(
      all.begin(), all.end(), [&](const Message& each) { return each.target == target; }));
}

Message store(Sluice& sluice, const std::string& path, const std::string& lines) {
  const double before = sluice.value("sluice_cache_redis_writes_total");
  Message answer = ask(sluice, path, lines);
  sluice.wait_for_value("sluice_cache_redis_writes_total", "", before + 1);
  return answer;
}

std::string store_and_name(Sluice& sluice, Redis& redis, const std::string& path) {
  const std::vector<std::string> before = redis.entries();
  store(sluice, path);
  for (const std::string& key : redis.entries()) {
    if (std::find(before.begin(), before.end(), key) != before.end()) continue;
    // Others may be written at the same time; a record names its URL.
    for (const std::string& text : redis.list({"HGETALL", key})) {
      if (text.find(path) != std::string::npos) return key;
    }
  }
  throw Failure("no key of " + path);
}

// Each connection comes to a worker by chance.
void await_shared(Sluice& from, Sluice& to) {
  static std::atomic<int> next{0};
  const int wanted = 6;
  int in_a_row = 0;
  const bool is_shared = eventually([&] {
    const std::string path = "/warm/" + std::to_string(++next);
    const double before = from.value("sluice_cache_redis_writes_total");
    ask(from, path);
    const auto is_written = [&] { return from.value("sluice_cache_redis_writes_total") > before; };
    in_a_row = eventually(is_written, milliseconds(300)) && is_from_redis(ask(to, path))
                   ? in_a_row + 1
                   : 0;
    return in_a_row == wanted;
  });
  if (!is_shared) throw Failure("the hosts share nothing: " + to.metrics() + to.err());
}

double redis_looks(Sluice& sluice, const std::string& result) {
  return sluice.value("sluice_cache_requests_total", "tier=\"redis\",result=\"" + result + "\"");
}

// Two hosts ---------------------------------------------------------------------------------------

Hosts::Hosts(Answers answers, Values its_more, const std::vector<std::string>& words)
    : redis(words),
      origin(serving(std::move(answers))),
      more(std::move(its_more)),
      a(kSharedYaml, values()),
      b(kSharedYaml, values()) {
  await_shared(a, b);
  await_shared(b, a);
}

Values Hosts::values(Values other) const {
  return with(with(shared_values(origin.address(), redis.url()), more), other);
}

std::unique_ptr<Sluice> Hosts::another() {
  auto sluice = std::make_unique<Sluice>(kSharedYaml, values());
  await_shared(a, *sluice);
  return sluice;
}

// Load --------------------------------------------------------------------------------------------

std::string body_of(const std::string& path) {
  std::string body = path + "|";
  body.resize(4096, 'x');
  return body;
}

Traffic::Traffic(const Values& more)
    : origin([](OriginConn& c) {
        c.serve(
            [](const Message& request) { return answer(200, body_of(request.target), kFresh); });
      }),
      values(traffic_values(origin, more)),
      sluice(kSharedYaml, values) {}

void Traffic::begin(size_t urls) {
  VisitPlan plan;
  plan.urls = urls;
  plan.port = sluice.port();
  plan.judge = judge_visit;
  visitors = std::make_unique<Visitors>(plan);
}

void Traffic::wait_for_redis_hits(double more) { wait_for_looks("hit", more); }

void Traffic::wait_for_looks(const std::string& result, double more) {
  const double before = redis_looks(sluice, result);
  if (!eventually([&] { return redis_looks(sluice, result) >= before + more; }, kPatience * 3)) {
    throw Failure("no looks in Redis with result " + result + ": " + sluice.metrics() +
                  sluice.err());
  }
}

void Traffic::hold(milliseconds time) {
  const uint64_t before = visitors->answers();
  eventually([] { return false; }, time);
  CHECK(visitors->answers() > before);
}

void Traffic::expect_unharmed() {
  visitors->finish();
  CHECK(visitors->failures() == 0);
  CHECK(visitors->first_failure() == "");
  CHECK(visitors->slow_ones() == 0);
  CHECK(visitors->answers() > 0);
}

}  // namespace e2e
