// The HTTP face of the orders: which request asks the store for what, and what is answered.
//
// Owner: the server; thread: its loop. Refusals that need no store are answered at once. The same
// Idempotency-Key twice at a time is refused while the first is being answered; by another process
// of the same database it waits there, and is then answered alike.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sluice/base/clock.h"
#include "sluice/base/random.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/order_metrics.h"
#include "sluice/orders/order_store.h"
#include "sluice/orders/problem.h"
#include "sluice/orders/rate_limit.h"
#include "sluice/orders/request_check.h"
#include "sluice/proxy/handler.h"

namespace sluice::orders {

class EventFeed;

struct ApiOptions {
  std::string name;  // X-Backend
  bool allow_restock = false;
  // For demonstrations; /healthz and /status know neither.
  Duration delay{0};       // before a request is looked at
  double fail_rate = 0;    // share of requests answered 503
  bool is_async = false;   // an accepted order is answered 202 instead of 201
  int64_t user_limit = 0;  // most orders of a user that did not fail; 0: no limit
  int64_t rate_limit = 0;  // most orders a second; 0: no limit
};

class OrderApi final : public proxy::Handler {
 public:
  OrderApi(loop::Loop& loop, OrderStore& store, ApiOptions options);

  // A body that is a little too large is read, so that its refusal looks like all others.
  uint64_t max_body() const noexcept override { return 2 * 1024 * 1024; }
  std::optional<proxy::HandlerReply> dress(const proxy::EarlyRefusal& refusal) const override;
  void handle(std::shared_ptr<proxy::HandlerCall> call) override;

  // Called after each order that was accepted: there is a new event.
  void on_accepted(std::function<void()> told) { on_accepted_ = std::move(told); }
  // Called with products that were sold out or restocked just now.
  void on_stock(std::function<void(const std::vector<std::string>&)> told) {
    on_stock_ = std::move(told);
  }
  // Who answers /events; it must outlive the API.
  void set_feed(EventFeed& feed) noexcept { feed_ = &feed; }
  // More of /metrics.
  void add_metrics(MetricsPart part) { more_metrics_.push_back(std::move(part)); }
  // From now on /readyz says no.
  void set_draining() noexcept { is_draining_ = true; }

 private:
  using Call = std::shared_ptr<proxy::HandlerCall>;
  struct Delayed {
    TimePoint due;
    Call call;
  };

  void on_due() noexcept;
  void serve(const Call& call);
  void get(const Call& call, const Target& target);
  void get_orders(const Call& call);
  void get_totals(const Call& call, bool as_metrics);
  void get_health(const Call& call);
  void get_events(const Call& call);
  void post_order(const Call& call);
  void answer_placed(const Call& call, Result<Placed> result);
  void post_restock(const Call& call, std::string product_id);

  proxy::HandlerReply json(std::string body) const;
  void reply(const Call& call, proxy::HandlerReply reply) const;
  void refuse(const Call& call, const Refusal& refusal);
  void refuse(const Call& call, Error error);
  // Answers with what `make` makes of the value, or refuses.
  template <typename T, typename Make>
  Answer<T> answer(const Call& call, Make make);

  OrderStore& store_;
  ApiOptions options_;
  Random random_;
  loop::Timer timer_;
  std::deque<Delayed> delayed_;  // all wait equally long, so the first is due first
  std::unordered_map<std::string, std::string> keys_in_progress_;  // key, fingerprint
  RateLimit rate_limit_;
  ApiCounts counts_;
  std::function<void()> on_accepted_;
  std::function<void(const std::vector<std::string>&)> on_stock_;
  EventFeed* feed_ = nullptr;
  std::vector<MetricsPart> more_metrics_;
  bool is_draining_ = false;
};

}  // namespace sluice::orders
