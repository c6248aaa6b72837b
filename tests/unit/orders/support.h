// What the tests of orders share: a folder that goes away, connections to a database in it, a call
// without a connection, and waiting on a loop.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sluice/base/log.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/sqlite/order_reader.h"
#include "sluice/orders/sqlite/order_writer.h"
#include "sluice/orders/sqlite/sqlite_schema.h"
#include "sluice/proxy/handler.h"

namespace sluice::orders::test {

// No log lines for what a test breaks on purpose.
struct Quiet {
  Quiet() { set_log_level(LogLevel::off); }
  ~Quiet() { set_log_level(LogLevel::info); }
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-orders-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Patience patience(Duration duration = std::chrono::seconds(20)) {
  return {monotonic_now() + duration, wait_for};
}

inline std::vector<Product> products(int64_t stock) {
  return {{"p1", "Coffee mug", 1299, stock}, {"p2", "Notebook", 799, stock}};
}

inline SchemaResult prepare(const std::string& path, const std::vector<Product>& seed) {
  auto db = Database::open(path, Database::Mode::create);
  if (!db) return {db.error().text()};
  Random random;
  return prepare_schema(*db, patience(), random, seed);
}

inline OrderWriter writer_on(const std::string& path) {
  auto db = Database::open(path, Database::Mode::create);
  REQUIRE(db);
  return OrderWriter(*std::move(db));
}

inline OrderReader reader_on(const std::string& path) {
  auto db = Database::open(path, Database::Mode::read);
  REQUIRE(db);
  return OrderReader(*std::move(db));
}

inline NewOrder new_order(std::string key, std::vector<OrderLine> lines) {
  NewOrder order{"u1", std::move(lines), std::move(key), {}, {}, {}};
  for (const OrderLine& line : order.lines) {
    order.fingerprint += line.product_id + " " + std::to_string(line.quantity) + ";";
  }
  return order;
}

// One order in a transaction of its own, waiting for others.
inline Result<Placed> place(OrderWriter& writer, const NewOrder& order, WallTime now = wall_now()) {
  Random random;
  if (Status begun = retry_busy(patience(), random, [&] { return writer.begin(); }); !begun) {
    return begun.error();
  }
  auto placed = writer.place(order, now);
  if (Status done = writer.commit(); !done) return done.error();
  return placed;
}

// Runs the loop until `is_done`, for at most 30 s (a sanitizer on a busy machine).
inline bool run_until(loop::Loop& loop, const std::function<bool()>& is_done) {
  loop::Timer alarm(
      loop, [](void*) noexcept {}, nullptr);
  const TimePoint deadline = monotonic_now() + std::chrono::seconds(30);
  loop.set_resident(true);
  while (!is_done() && monotonic_now() < deadline) {
    if (!alarm.is_set()) alarm.set(deadline);
    loop.run_once(true);
  }
  loop.set_resident(false);
  return is_done();
}

// A call as the exchange would make it; keeps the answer.
class FakeCall final : public proxy::HandlerCall {
 public:
  FakeCall(loop::Loop& loop, proxy::HandlerRequest request)
      : loop_(loop), request_(std::move(request)) {}
  const proxy::HandlerRequest& request() const noexcept override { return request_; }
  loop::Loop& loop() noexcept override { return loop_; }
  void reply(proxy::HandlerReply reply) override {
    CHECK_FALSE(answer);
    answer = std::move(reply);
  }
  void begin(proxy::HandlerReply) override { FAIL("begin"); }
  void write(std::string_view) override { FAIL("write"); }
  void end() override { FAIL("end"); }
  size_t pending() const noexcept override { return 0; }
  bool is_gone() const noexcept override { return gone; }
  void on_gone(std::function<void()>) override {}

  std::string field(std::string_view name) const {
    for (const auto& [field_name, value] : answer->fields) {
      if (field_name == name) return value;
    }
    return {};
  }

  std::optional<proxy::HandlerReply> answer;
  bool gone = false;

 private:
  loop::Loop& loop_;
  proxy::HandlerRequest request_;
};

inline proxy::HandlerRequest request(std::string method, std::string path, std::string body = {}) {
  proxy::HandlerRequest request{};
  request.method = http::method_of(method);
  request.method_text = std::move(method);
  const size_t mark = path.find('?');
  if (mark != std::string::npos) request.query = path.substr(mark + 1);
  request.path = path.substr(0, mark);
  request.body = std::move(body);
  return request;
}

inline proxy::HandlerRequest post(std::string path, std::string body, std::string key = {}) {
  proxy::HandlerRequest made = request("POST", std::move(path), std::move(body));
  made.fields.emplace_back("content-type", "application/json");
  if (!key.empty()) made.fields.emplace_back("idempotency-key", std::move(key));
  return made;
}

}  // namespace sluice::orders::test
